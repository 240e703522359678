"""The local stack behind `make run`, `make up` and the tests: private servers, services, demo data. Nothing here is deployed."""
