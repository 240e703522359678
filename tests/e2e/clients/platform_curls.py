"""The curl examples of the platform API's page, as they stand there. The last submits a batch."""

from typing import Final

CURLS: Final = [
    """\
curl https://fanlock.com/api/platforms/health
""",
    """\
curl https://fanlock.com/api/platforms/creators \\
  -H "X-API-Key: fl_your_api_key"
""",
    """\
curl -X POST https://fanlock.com/api/platforms/submit-creators \\
  -H "X-API-Key: fl_your_api_key" \\
  -H "Content-Type: application/json" \\
  -d '{
    "creators": [{
      "stage_name": "ExampleCreator",
      "email": "creator@example.com",
      "legal_name": "Jane Doe",
      "official_links": [
        { "platform": "onlyfans", "handle": "examplecreator" },
        { "platform": "fansly", "handle": "examplecreator" }
      ]
    }]
  }'
""",
    """\
curl -X PATCH https://fanlock.com/api/platforms/creators/uuid \\
  -H "X-API-Key: fl_your_api_key" \\
  -H "Content-Type: application/json" \\
  -d '{ "stage_name": "NewName" }'
""",
    """\
curl -X POST https://fanlock.com/api/platforms/submit-urls \\
  -H "X-API-Key: fl_your_api_key" \\
  -H "Content-Type: application/json" \\
  -d '{
    "groups": [
      {
        "creator_id": "creator_abc123",
        "urls": [
          "https://piracy-site.com/stolen-content",
          "https://leak-forum.net/uploads/12345",
          "https://t.me/leakchannel/456"
        ]
      },
      {
        "creator_id": "creator_def456",
        "urls": ["https://x.com/leaker/status/123456"]
      }
    ],
    "notes": "Weekly scan batch"
  }'
""",
]


def called_here(curl: str, url: str, key: str, *, first: str, second: str) -> str:
    """`curl` with base URL, key and ids replaced, and nothing else; `first` and `second` are the ids of two creators."""
    replaced = {
        "https://fanlock.com": url, "fl_your_api_key": key, "creators/uuid": f"creators/{first}",
        "creator_abc123": first, "creator_def456": second,
    }  # fmt: skip
    for old, new in replaced.items():
        curl = curl.replace(old, new)
    return curl
