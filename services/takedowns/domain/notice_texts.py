"""The wording of notices, per language and category, version 1. Statements of law stand as the statutes want them.

Not reviewed by a lawyer: the service says so at every start, and sends nothing until an operator puts a name to a review.
Changing a sentence makes another `TEMPLATE_VERSION`: sent notices are records.
"""

from typing import Final

import msgspec

from services.takedowns.domain.states import Category, Stage

TEMPLATE_VERSION: Final = 1
DEFAULT_LANGUAGE: Final = "en"


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences of one language. `{…}` are filled by `notice.py`, all of them checked for being there by the lint."""

    opening: dict[Stage, str]
    work: str
    profiles: str
    legal_name: str
    reasons: str  # DSA Art. 16(2)(a)
    material: str
    earlier: str
    request: dict[Stage, str]
    good_faith: str  # 17 USC 512(c)(3)(A)(v)
    accuracy: str  # 17 USC 512(c)(3)(A)(vi) and DSA Art. 16(2)(d)
    contact: str
    phone: str
    answer: str


_EN: Final = Texts(
    opening={
        Stage.SITE: (
            "This is a notification of claimed infringement under 17 U.S.C. 512(c)(3) and a notice under Article 16 of"
            " Regulation (EU) 2022/2065 (Digital Services Act). It concerns material on {host}."
        ),
        Stage.HOSTING: (
            "This is a notification of claimed infringement under 17 U.S.C. 512(c)(3) and a notice under Article 16 of"
            " Regulation (EU) 2022/2065 (Digital Services Act). It concerns material on {host}, which is served through your"
            " network."
        ),
        Stage.REGISTRAR: (
            "This is a notification of claimed infringement under 17 U.S.C. 512(c)(3) and a notice under Article 16 of"
            " Regulation (EU) 2022/2065 (Digital Services Act). It concerns material on {host}, a domain that is registered"
            " through you."
        ),
        Stage.SEARCH: (
            "This is a notification of claimed infringement under 17 U.S.C. 512(d) and a notice under Article 16 of"
            " Regulation (EU) 2022/2065 (Digital Services Act). It concerns links to material on {host}."
        ),
    },
    work="The works are photographs, videos and texts made by the creator known as {stage_name}.",
    profiles="A representative list of them is found at the creator's official profiles:",
    legal_name="Legal name of the creator: {legal_name}",
    reasons=(
        "The locations below reproduce these works, or make them available, without permission: they are published by the"
        " creator to paying subscribers or on the profiles above only. This infringes the exclusive rights of reproduction,"
        " distribution and communication to the public."
    ),
    material="The infringing material is at these {count} locations:",
    earlier="Earlier notices about the same material: {earlier}. It is available again, or still.",
    request={
        Stage.SITE: "Please remove this material, or disable access to it, expeditiously.",
        Stage.HOSTING: (
            "Please remove this material or disable access to it expeditiously, or have your customer do so. If you are not the"
            " host, please name the host."
        ),
        Stage.REGISTRAR: "Please have the holder of the domain remove this material, and act as your policy on abuse provides.",
        Stage.SEARCH: "Please remove these locations from your results expeditiously.",
    },
    good_faith=(
        "I have a good faith belief that use of the material in the manner complained of is not authorized by the copyright"
        " owner, its agent, or the law."
    ),
    accuracy=(
        "The information and allegations in this notification are accurate and complete, and, under penalty of perjury, I am"
        " authorized to act on behalf of the owner of an exclusive right that is allegedly infringed."
    ),
    contact="I act as agent of the creator. Please contact me and not the creator:",
    phone="Telephone: {phone}",
    answer="Please answer to this message without changing its addresses, and keep the number in its subject.",
)

_DE: Final = Texts(
    opening={
        Stage.SITE: (
            "Dies ist eine Meldung einer behaupteten Rechtsverletzung nach 17 U.S.C. 512(c)(3) und eine Meldung nach Artikel 16"
            " der Verordnung (EU) 2022/2065 (Gesetz über digitale Dienste). Sie betrifft Inhalte auf {host}."
        ),
        Stage.HOSTING: (
            "Dies ist eine Meldung einer behaupteten Rechtsverletzung nach 17 U.S.C. 512(c)(3) und eine Meldung nach Artikel 16"
            " der Verordnung (EU) 2022/2065 (Gesetz über digitale Dienste). Sie betrifft Inhalte auf {host}, die über Ihr Netz"
            " ausgeliefert werden."
        ),
        Stage.REGISTRAR: (
            "Dies ist eine Meldung einer behaupteten Rechtsverletzung nach 17 U.S.C. 512(c)(3) und eine Meldung nach Artikel 16"
            " der Verordnung (EU) 2022/2065 (Gesetz über digitale Dienste). Sie betrifft Inhalte auf {host}, einer über Sie"
            " registrierten Domain."
        ),
        Stage.SEARCH: (
            "Dies ist eine Meldung einer behaupteten Rechtsverletzung nach 17 U.S.C. 512(d) und eine Meldung nach Artikel 16 der"
            " Verordnung (EU) 2022/2065 (Gesetz über digitale Dienste). Sie betrifft Verweise auf Inhalte auf {host}."
        ),
    },
    work="Die Werke sind Fotografien, Videos und Texte der Person, die unter dem Namen {stage_name} veröffentlicht.",
    profiles="Eine repräsentative Auswahl findet sich auf ihren offiziellen Profilen:",
    legal_name="Bürgerlicher Name: {legal_name}",
    reasons=(
        "An den unten genannten Stellen werden diese Werke ohne Erlaubnis vervielfältigt oder zugänglich gemacht: veröffentlicht"
        " werden sie nur für zahlende Abonnenten oder auf den genannten Profilen. Das verletzt die ausschließlichen Rechte der"
        " Vervielfältigung, der Verbreitung und der öffentlichen Wiedergabe."
    ),
    material="Die rechtsverletzenden Inhalte stehen an diesen {count} Stellen:",
    earlier="Frühere Meldungen zu denselben Inhalten: {earlier}. Sie sind wieder oder noch immer verfügbar.",
    request={
        Stage.SITE: "Bitte entfernen oder sperren Sie diese Inhalte unverzüglich.",
        Stage.HOSTING: (
            "Bitte entfernen oder sperren Sie diese Inhalte unverzüglich, oder veranlassen Sie Ihren Kunden dazu. Sind Sie nicht"
            " der Host, nennen Sie ihn uns bitte."
        ),
        Stage.REGISTRAR: "Bitte veranlassen Sie den Inhaber der Domain zur Entfernung, und handeln Sie nach Ihren Regeln zu Missbrauch.",
        Stage.SEARCH: "Bitte entfernen Sie diese Stellen unverzüglich aus Ihren Ergebnissen.",
    },
    good_faith=(
        "Ich bin in gutem Glauben der Überzeugung, dass die beanstandete Nutzung weder vom Inhaber der Urheberrechte noch von"
        " seinem Vertreter noch durch das Gesetz erlaubt ist."
    ),
    accuracy=(
        "Die Angaben und Anführungen in dieser Meldung sind richtig und vollständig. Unter Strafandrohung für Falschaussage"
        " (under penalty of perjury) erkläre ich, dass ich befugt bin, für den Inhaber eines ausschließlichen Rechts zu handeln,"
        " das mutmaßlich verletzt wird."
    ),
    contact="Ich handle als Vertreter. Bitte wenden Sie sich an mich und nicht an die dargestellte Person:",
    phone="Telefon: {phone}",
    answer="Bitte antworten Sie auf diese Nachricht, ohne ihre Adressen zu ändern, und behalten Sie die Nummer im Betreff bei.",
)

_FR: Final = Texts(
    opening={
        Stage.SITE: (
            "Ceci est une notification d'atteinte alléguée au titre de 17 U.S.C. 512(c)(3) et une notification au titre de"
            " l'article 16 du règlement (UE) 2022/2065 (règlement sur les services numériques). Elle concerne des contenus sur {host}."
        ),
        Stage.HOSTING: (
            "Ceci est une notification d'atteinte alléguée au titre de 17 U.S.C. 512(c)(3) et une notification au titre de"
            " l'article 16 du règlement (UE) 2022/2065 (règlement sur les services numériques). Elle concerne des contenus sur"
            " {host}, diffusés par votre réseau."
        ),
        Stage.REGISTRAR: (
            "Ceci est une notification d'atteinte alléguée au titre de 17 U.S.C. 512(c)(3) et une notification au titre de"
            " l'article 16 du règlement (UE) 2022/2065 (règlement sur les services numériques). Elle concerne des contenus sur"
            " {host}, un domaine enregistré auprès de vous."
        ),
        Stage.SEARCH: (
            "Ceci est une notification d'atteinte alléguée au titre de 17 U.S.C. 512(d) et une notification au titre de"
            " l'article 16 du règlement (UE) 2022/2065 (règlement sur les services numériques). Elle concerne des liens vers des"
            " contenus sur {host}."
        ),
    },
    work="Les œuvres sont des photographies, des vidéos et des textes de la personne connue sous le nom de {stage_name}.",
    profiles="Une liste représentative se trouve sur ses profils officiels :",
    legal_name="Nom légal : {legal_name}",
    reasons=(
        "Les adresses ci-dessous reproduisent ces œuvres, ou les mettent à disposition, sans autorisation : elles ne sont publiées"
        " que pour des abonnés payants ou sur les profils ci-dessus. Cela porte atteinte aux droits exclusifs de reproduction, de"
        " distribution et de communication au public."
    ),
    material="Les contenus en cause se trouvent à ces {count} adresses :",
    earlier="Notifications précédentes sur les mêmes contenus : {earlier}. Ils sont de nouveau, ou toujours, disponibles.",
    request={
        Stage.SITE: "Nous vous prions de retirer ces contenus, ou d'en bloquer l'accès, promptement.",
        Stage.HOSTING: (
            "Nous vous prions de retirer ces contenus ou d'en bloquer l'accès promptement, ou de l'obtenir de votre client. Si"
            " vous n'êtes pas l'hébergeur, veuillez le nommer."
        ),
        Stage.REGISTRAR: "Nous vous prions d'obtenir le retrait du titulaire du domaine et d'agir selon votre politique en matière d'abus.",
        Stage.SEARCH: "Nous vous prions de retirer promptement ces adresses de vos résultats.",
    },
    good_faith=(
        "J'estime de bonne foi que l'utilisation des contenus de la manière dénoncée n'est autorisée ni par le titulaire des"
        " droits d'auteur, ni par son mandataire, ni par la loi."
    ),
    accuracy=(
        "Les informations et allégations de cette notification sont exactes et complètes et, sous peine de parjure (under penalty"
        " of perjury), je suis autorisé à agir au nom du titulaire d'un droit exclusif auquel il est prétendument porté atteinte."
    ),
    contact="J'agis comme mandataire. Veuillez vous adresser à moi et non à la personne représentée :",
    phone="Téléphone : {phone}",
    answer="Veuillez répondre à ce message sans en changer les adresses, et garder le numéro de l'objet.",
)

_ES: Final = Texts(
    opening={
        Stage.SITE: (
            "Esta es una notificación de presunta infracción conforme a 17 U.S.C. 512(c)(3) y una notificación conforme al"
            " artículo 16 del Reglamento (UE) 2022/2065 (Reglamento de Servicios Digitales). Se refiere a contenidos en {host}."
        ),
        Stage.HOSTING: (
            "Esta es una notificación de presunta infracción conforme a 17 U.S.C. 512(c)(3) y una notificación conforme al"
            " artículo 16 del Reglamento (UE) 2022/2065 (Reglamento de Servicios Digitales). Se refiere a contenidos en {host},"
            " que se sirven a través de su red."
        ),
        Stage.REGISTRAR: (
            "Esta es una notificación de presunta infracción conforme a 17 U.S.C. 512(c)(3) y una notificación conforme al"
            " artículo 16 del Reglamento (UE) 2022/2065 (Reglamento de Servicios Digitales). Se refiere a contenidos en {host},"
            " un dominio registrado a través de ustedes."
        ),
        Stage.SEARCH: (
            "Esta es una notificación de presunta infracción conforme a 17 U.S.C. 512(d) y una notificación conforme al artículo"
            " 16 del Reglamento (UE) 2022/2065 (Reglamento de Servicios Digitales). Se refiere a enlaces a contenidos en {host}."
        ),
    },
    work="Las obras son fotografías, vídeos y textos de la persona conocida como {stage_name}.",
    profiles="Una lista representativa se encuentra en sus perfiles oficiales:",
    legal_name="Nombre legal: {legal_name}",
    reasons=(
        "Las direcciones siguientes reproducen estas obras, o las ponen a disposición, sin permiso: solo se publican para"
        " suscriptores de pago o en los perfiles indicados. Esto infringe los derechos exclusivos de reproducción, distribución y"
        " comunicación pública."
    ),
    material="Los contenidos infractores se encuentran en estas {count} direcciones:",
    earlier="Notificaciones anteriores sobre los mismos contenidos: {earlier}. Están disponibles de nuevo o todavía.",
    request={
        Stage.SITE: "Les rogamos que retiren estos contenidos, o que inhabiliten el acceso a ellos, con prontitud.",
        Stage.HOSTING: (
            "Les rogamos que retiren estos contenidos o inhabiliten el acceso a ellos con prontitud, o que lo exijan a su cliente."
            " Si no son el proveedor de alojamiento, indíquennos quién lo es."
        ),
        Stage.REGISTRAR: "Les rogamos que exijan la retirada al titular del dominio y que actúen según su política sobre abusos.",
        Stage.SEARCH: "Les rogamos que retiren con prontitud estas direcciones de sus resultados.",
    },
    good_faith=(
        "Creo de buena fe que el uso de los contenidos en la forma denunciada no está autorizado por el titular de los derechos de"
        " autor, su agente ni la ley."
    ),
    accuracy=(
        "La información y las alegaciones de esta notificación son exactas y completas y, bajo pena de perjurio (under penalty of"
        " perjury), estoy autorizado a actuar en nombre del titular de un derecho exclusivo presuntamente infringido."
    ),
    contact="Actúo como agente. Les ruego que se dirijan a mí y no a la persona representada:",
    phone="Teléfono: {phone}",
    answer="Les ruego que respondan a este mensaje sin cambiar sus direcciones y que conserven el número del asunto.",
)


def _ncii(texts: Texts, *, opening: str, reasons: str, material: str, good_faith: str, accuracy: str) -> Texts:
    """The texts of a request under the TAKE IT DOWN Act: what counts is consent, not who holds a copyright."""
    return msgspec.structs.replace(
        texts, opening=dict.fromkeys(Stage, opening), reasons=reasons, material=material, good_faith=good_faith, accuracy=accuracy
    )  # fmt: skip


TEXTS: Final[dict[tuple[str, Category], Texts]] = {
    ("en", Category.COPYRIGHT): _EN,
    ("de", Category.COPYRIGHT): _DE,
    ("fr", Category.COPYRIGHT): _FR,
    ("es", Category.COPYRIGHT): _ES,
    ("en", Category.NCII): _ncii(
        _EN,
        opening=(
            "This is a request under the TAKE IT DOWN Act to remove intimate visual depictions that were published without"
            " consent on {host}. The Act gives 48 hours."
        ),
        reasons="The depictions at the locations below show an identifiable person who did not consent to their publication.",
        material="The depictions are at these {count} locations:",
        good_faith=(
            "I have a good faith belief that the depictions identified above are intimate visual depictions that were published"
            " without the consent of the person shown."
        ),
        accuracy=(
            "The information in this request is accurate and complete, and I am the person shown or authorized to act on behalf of"
            " that person."
        ),
    ),
    ("de", Category.NCII): _ncii(
        _DE,
        opening=(
            "Dies ist ein Antrag nach dem TAKE IT DOWN Act auf Entfernung intimer Abbildungen, die ohne Einwilligung auf {host}"
            " veröffentlicht wurden. Das Gesetz gibt dafür 48 Stunden."
        ),
        reasons="Die Abbildungen an den unten genannten Stellen zeigen eine erkennbare Person, die der Veröffentlichung nicht zugestimmt hat.",
        material="Die Abbildungen stehen an diesen {count} Stellen:",
        good_faith=(
            "Ich bin in gutem Glauben der Überzeugung, dass die genannten Abbildungen intime Abbildungen sind, die ohne"
            " Einwilligung der gezeigten Person veröffentlicht wurden."
        ),
        accuracy=(
            "Die Angaben in diesem Antrag sind richtig und vollständig, und ich bin die gezeigte Person oder befugt, für sie zu"
            " handeln."
        ),
    ),
    ("fr", Category.NCII): _ncii(
        _FR,
        opening=(
            "Ceci est une demande au titre du TAKE IT DOWN Act de retirer des représentations intimes publiées sans consentement"
            " sur {host}. La loi donne 48 heures."
        ),
        reasons="Les représentations aux adresses ci-dessous montrent une personne identifiable qui n'a pas consenti à leur publication.",
        material="Les représentations se trouvent à ces {count} adresses :",
        good_faith=(
            "J'estime de bonne foi que les représentations désignées ci-dessus sont des représentations intimes publiées sans le"
            " consentement de la personne représentée."
        ),
        accuracy=(
            "Les informations de cette demande sont exactes et complètes, et je suis la personne représentée ou autorisé à agir en"
            " son nom."
        ),
    ),
    ("es", Category.NCII): _ncii(
        _ES,
        opening=(
            "Esta es una solicitud conforme a la TAKE IT DOWN Act para retirar representaciones íntimas publicadas sin"
            " consentimiento en {host}. La ley da 48 horas."
        ),
        reasons="Las representaciones en las direcciones siguientes muestran a una persona identificable que no consintió su publicación.",
        material="Las representaciones se encuentran en estas {count} direcciones:",
        good_faith=(
            "Creo de buena fe que las representaciones indicadas son representaciones íntimas publicadas sin el consentimiento de"
            " la persona mostrada."
        ),
        accuracy=(
            "La información de esta solicitud es exacta y completa, y soy la persona mostrada o estoy autorizado a actuar en su"
            " nombre."
        ),
    ),
}
LANGUAGES: Final = tuple(dict.fromkeys(language for language, _ in TEXTS))


def texts_of(language: str, category: Category) -> tuple[str, Texts]:
    """The texts for a host that reads `language`, or English ones; and the language they are in."""
    known = language if (language, category) in TEXTS else DEFAULT_LANGUAGE
    return known, TEXTS[known, category]
