//! The failure: what did not work, whose side it was on, and what the person can do.

use askama::Template;
use http::StatusCode;

use super::wording::{Mail, machine_moment, moment, shown};
use super::{Language, STYLE, School, fill};
use crate::access::{Ending, Reference, Timestamp};

/// What went wrong, as a person can understand it. It fixes the status code of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The name has no address.
    NameUnknown,
    /// Our resolver got no answer.
    ResolverSilent,
    /// No address of the origin took the connection.
    OriginUnreachable,
    /// The origin took too long, to connect or to answer.
    OriginTimedOut,
    /// The origin hung up, or answered what is not HTTP.
    OriginBroken,
    /// The origin's certificate is not valid at this date.
    CertificateExpired,
    /// It is for another name.
    CertificateOfOther,
    /// Nobody we know stands for it.
    CertificateUnknown,
    /// It was revoked, or is not in order.
    CertificateBroken,
    /// Inside TLS that was opened, another host is asked for.
    Misdirected,
    /// The name leads to an address the gateway never dials: its own, loopback, the inner network.
    AddressGuarded,
    /// The request came back to us.
    Loop,
    /// The request is not well-formed HTTP.
    RequestUnreadable,
    /// Its head is larger than the limit.
    RequestTooLarge,
    /// The address alone is longer than the limit.
    TargetTooLong,
    /// The client was silent for longer than the limit.
    RequestTimedOut,
    /// A version of HTTP that we do not speak.
    VersionUnknown,
    /// A coding of the request's body, or a method, that we do not carry.
    Unsupported,
    /// The client expects what we cannot promise.
    ExpectationUnknown,
    /// This client asks faster than the limit.
    TooManyRequests,
    /// This client has as many connections open as the limit.
    TooManyConnections,
    /// As many flows as the gateway may hold are open.
    TooBusy,
    /// The access could not be written down, so it was not forwarded.
    NotRecorded,
    /// A fault of ours.
    Ours,
}

impl Failure {
    pub const ALL: [Failure; 24] = [
        Failure::NameUnknown,
        Failure::ResolverSilent,
        Failure::OriginUnreachable,
        Failure::OriginTimedOut,
        Failure::OriginBroken,
        Failure::CertificateExpired,
        Failure::CertificateOfOther,
        Failure::CertificateUnknown,
        Failure::CertificateBroken,
        Failure::Misdirected,
        Failure::AddressGuarded,
        Failure::Loop,
        Failure::RequestUnreadable,
        Failure::RequestTooLarge,
        Failure::TargetTooLong,
        Failure::RequestTimedOut,
        Failure::VersionUnknown,
        Failure::Unsupported,
        Failure::ExpectationUnknown,
        Failure::TooManyRequests,
        Failure::TooManyConnections,
        Failure::TooBusy,
        Failure::NotRecorded,
        Failure::Ours,
    ];

    /// RFC 9110 §15 (421: §15.5.20), RFC 6585 §§4–5, RFC 5842 §7.2.
    pub fn status(self) -> StatusCode {
        match self {
            Failure::NameUnknown
            | Failure::OriginUnreachable
            | Failure::OriginBroken
            | Failure::CertificateExpired
            | Failure::CertificateOfOther
            | Failure::CertificateUnknown
            | Failure::CertificateBroken => StatusCode::BAD_GATEWAY,
            Failure::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Failure::ResolverSilent | Failure::OriginTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Failure::AddressGuarded => StatusCode::FORBIDDEN,
            Failure::Loop => StatusCode::LOOP_DETECTED,
            Failure::RequestUnreadable => StatusCode::BAD_REQUEST,
            Failure::RequestTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Failure::TargetTooLong => StatusCode::URI_TOO_LONG,
            Failure::RequestTimedOut => StatusCode::REQUEST_TIMEOUT,
            Failure::VersionUnknown => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Failure::Unsupported => StatusCode::NOT_IMPLEMENTED,
            Failure::ExpectationUnknown => StatusCode::EXPECTATION_FAILED,
            Failure::TooManyRequests | Failure::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
            Failure::TooBusy | Failure::NotRecorded => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Ours => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The ending that its row reads.
    pub fn ending(self) -> Ending {
        match self {
            Failure::NameUnknown | Failure::ResolverSilent | Failure::OriginUnreachable => Ending::OriginUnreachable,
            Failure::OriginTimedOut | Failure::RequestTimedOut => Ending::TimedOut,
            Failure::OriginBroken => Ending::OriginClosed,
            Failure::CertificateExpired
            | Failure::CertificateOfOther
            | Failure::CertificateUnknown
            | Failure::CertificateBroken => Ending::OriginInvalid,
            Failure::AddressGuarded => Ending::Answered,
            Failure::Loop
            | Failure::Misdirected
            | Failure::RequestUnreadable
            | Failure::VersionUnknown
            | Failure::Unsupported
            | Failure::ExpectationUnknown => Ending::ClientInvalid,
            Failure::RequestTooLarge
            | Failure::TargetTooLong
            | Failure::TooManyRequests
            | Failure::TooManyConnections
            | Failure::TooBusy => Ending::OverLimit,
            Failure::NotRecorded | Failure::Ours => Ending::Failed,
        }
    }

    fn words(self, language: Language) -> FailureWords {
        match language {
            Language::French => self.french(),
            Language::English => self.english(),
        }
    }

    fn french(self) -> FailureWords {
        let (title, what, cure) = match self {
            Failure::NameUnknown => (
                "Ce site n’a pas été trouvé",
                "Aucun site ne porte ce nom, ou il n’existe plus.",
                "Vérifiez l’orthographe de l’adresse, puis réessayez.",
            ),
            Failure::ResolverSilent => (
                "L’annuaire d’Internet ne répond pas",
                "Pour ouvrir un site, il faut d’abord retrouver son adresse, et cette recherche n’a pas abouti.",
                "Réessayez dans une minute. Si rien ne s’ouvre, l’accès du collège à Internet est peut-être coupé\u{a0}: \
                 prévenez un adulte.",
            ),
            Failure::OriginUnreachable => (
                "Ce site ne répond pas",
                "Le site existe, mais il est impossible de s’y connecter. La panne est de son côté ou sur le chemin.",
                "Réessayez un peu plus tard. Si d’autres sites s’ouvrent, le collège n’y peut rien.",
            ),
            Failure::OriginTimedOut => (
                "Ce site met trop de temps à répondre",
                "La demande lui a été envoyée, mais la réponse n’est pas arrivée à temps.",
                "Réessayez un peu plus tard.",
            ),
            Failure::OriginBroken => (
                "La réponse de ce site est inutilisable",
                "Le site a coupé la connexion, ou il a envoyé une réponse incompréhensible.",
                "Réessayez. Si cela recommence, c’est au site de réparer.",
            ),
            Failure::CertificateExpired => (
                "Le certificat de ce site n’est plus valable",
                "Un site sécurisé montre un certificat qui dit qui il est. Celui-ci a expiré, ou n’est pas encore valable\u{a0}: \
                 rien ne prouve que c’est bien ce site. La connexion n’a pas été établie.",
                "Réessayez plus tard. C’est au site de renouveler son certificat.",
            ),
            Failure::CertificateOfOther => (
                "Ce site montre le certificat d’un autre",
                "Un site sécurisé montre un certificat qui dit qui il est. Celui-ci porte un autre nom\u{a0}: \
                 c’est peut-être un autre site. La connexion n’a pas été établie.",
                "Vérifiez l’orthographe de l’adresse. Si elle est juste, c’est au site de corriger son certificat.",
            ),
            Failure::CertificateUnknown => (
                "Personne de connu ne garantit ce site",
                "Un site sécurisé montre un certificat, garanti par une autorité. Celle de ce site est inconnue, ou il se \
                 garantit lui-même\u{a0}: rien ne prouve que c’est bien lui. La connexion n’a pas été établie.",
                "N’y entrez aucun mot de passe depuis un autre réseau. Si c’est un site du collège, transmettez la référence \
                 ci-dessous au collège.",
            ),
            Failure::CertificateBroken => (
                "Le certificat de ce site est inutilisable",
                "Un site sécurisé montre un certificat qui dit qui il est. Celui-ci a été annulé, ou il est mal fait. La \
                 connexion n’a pas été établie.",
                "C’est au site de réparer.",
            ),
            Failure::Misdirected => (
                "Cette demande s’est trompée de porte",
                "Elle demande un site dans la connexion d’un autre.",
                "Rechargez la page.",
            ),
            Failure::AddressGuarded => (
                "Cette adresse n’est pas sur Internet",
                "Ce nom mène à une machine du réseau interne, que l’on ne peut pas joindre par ici.",
                "Si vous avez besoin de cette ressource, transmettez la référence ci-dessous au collège.",
            ),
            Failure::Loop => (
                "Cette demande tourne en rond",
                "Elle est revenue à son point de départ sans jamais atteindre le site.",
                "C’est un réglage à corriger\u{a0}: transmettez la référence ci-dessous au collège.",
            ),
            Failure::RequestUnreadable => (
                "Cette demande n’a pas été comprise",
                "L’adresse ou la demande envoyée par le navigateur ou l’application n’est pas correcte.",
                "Vérifiez l’adresse. Si elle est juste, essayez avec un autre navigateur.",
            ),
            Failure::RequestTooLarge => (
                "Cette demande est trop longue",
                "L’adresse, ou ce que le navigateur a gardé en mémoire pour ce site (les cookies), prend trop de place.",
                "Effacez les cookies de ce site, puis réessayez.",
            ),
            Failure::TargetTooLong => (
                "Cette adresse est trop longue",
                "Elle dépasse tout ce qu’un site demande d’ordinaire.",
                "Revenez à la page précédente, ou cherchez la page autrement.",
            ),
            Failure::VersionUnknown => (
                "Cette application parle une autre langue",
                "Elle utilise une version du web que le filtre ne connaît pas.",
                "Mettez l’application ou le navigateur à jour.",
            ),
            Failure::Unsupported => (
                "Cette demande est d’un genre inconnu",
                "Le navigateur ou l’application demande quelque chose que le filtre ne sait pas transmettre.",
                "Essayez avec un autre navigateur.",
            ),
            Failure::ExpectationUnknown => (
                "Cette demande attend une réponse particulière",
                "L’application pose une condition que le filtre ne sait pas remplir.",
                "Essayez avec un autre navigateur.",
            ),
            Failure::TooManyRequests => (
                "Cet appareil demande trop vite",
                "Il envoie plus de demandes par seconde que le filtre n’en accepte d’un seul appareil.",
                "Attendez quelques secondes, puis rechargez la page.",
            ),
            Failure::TooManyConnections => (
                "Cet appareil a trop de connexions ouvertes",
                "Il en garde plus que le filtre n’en accepte d’un seul appareil.",
                "Fermez des onglets ou des applications, puis rechargez la page.",
            ),
            Failure::RequestTimedOut => (
                "La demande n’est pas arrivée en entier",
                "L’appareil a commencé une demande et ne l’a pas terminée.",
                "Vérifiez que le Wi-Fi fonctionne, puis rechargez la page.",
            ),
            Failure::TooBusy => (
                "Trop de monde en même temps",
                "Il y a plus de demandes en cours que le filtre ne peut en traiter.",
                "Fermez les onglets inutiles et réessayez dans une minute.",
            ),
            Failure::NotRecorded => (
                "L’accès à Internet est suspendu un moment",
                "Le journal des accès, que la loi demande au collège de tenir, ne peut plus être écrit. \
                 Tant que cela dure, les pages ne s’ouvrent pas.",
                "Prévenez un adulte du collège, en lui donnant la référence ci-dessous.",
            ),
            Failure::Ours => (
                "Le filtre a eu un problème",
                "L’erreur vient du filtre du collège, pas de vous ni du site.",
                "Réessayez. Si cela recommence, transmettez la référence ci-dessous au collège.",
            ),
        };
        FailureWords { title, what, cure }
    }

    fn english(self) -> FailureWords {
        let (title, what, cure) = match self {
            Failure::NameUnknown => (
                "This site was not found",
                "No site has this name, or it is gone.",
                "Check the spelling of the address, then try again.",
            ),
            Failure::ResolverSilent => (
                "The Internet’s directory does not answer",
                "To open a site its address must be looked up first, and that did not work.",
                "Try again in a minute. If nothing opens, the school’s Internet access may be down: tell an adult.",
            ),
            Failure::OriginUnreachable => (
                "This site does not answer",
                "The site exists, but nothing can connect to it. The fault is on its side or on the way.",
                "Try again a little later. If other sites open, the school cannot help it.",
            ),
            Failure::OriginTimedOut => (
                "This site takes too long",
                "The request was sent, but the answer did not come in time.",
                "Try again a little later.",
            ),
            Failure::OriginBroken => (
                "This site’s answer cannot be used",
                "The site hung up, or sent an answer that makes no sense.",
                "Try again. If it happens again, the site has to mend it.",
            ),
            Failure::CertificateExpired => (
                "This site’s certificate is not valid any more",
                "A secure site shows a certificate that says who it is. This one has expired, or is not valid yet: nothing \
                 proves that it is this site. No connection was made.",
                "Try again later. The site has to renew its certificate.",
            ),
            Failure::CertificateOfOther => (
                "This site shows another one’s certificate",
                "A secure site shows a certificate that says who it is. This one bears another name: it may be another site. \
                 No connection was made.",
                "Check the spelling of the address. If it is right, the site has to correct its certificate.",
            ),
            Failure::CertificateUnknown => (
                "Nobody we know vouches for this site",
                "A secure site shows a certificate, vouched for by an authority. That of this site is unknown, or the site \
                 vouches for itself: nothing proves that it is the one. No connection was made.",
                "Give it no password from another network either. If it is a site of the school, give the reference below to \
                 the school.",
            ),
            Failure::CertificateBroken => (
                "This site’s certificate cannot be used",
                "A secure site shows a certificate that says who it is. This one was revoked, or is badly made. No connection \
                 was made.",
                "The site has to mend it.",
            ),
            Failure::Misdirected => (
                "This request came to the wrong door",
                "It asks for one site in the connection of another.",
                "Reload the page.",
            ),
            Failure::AddressGuarded => (
                "This address is not on the Internet",
                "The name leads to a machine of the inner network, which cannot be reached this way.",
                "If you need it, give the reference below to the school.",
            ),
            Failure::Loop => (
                "This request goes round in circles",
                "It came back to where it started without reaching the site.",
                "A setting has to be corrected: give the reference below to the school.",
            ),
            Failure::RequestUnreadable => (
                "This request was not understood",
                "The address or the request sent by the browser or the application is not correct.",
                "Check the address. If it is right, try another browser.",
            ),
            Failure::RequestTooLarge => (
                "This request is too long",
                "The address, or what the browser remembers for this site (its cookies), takes too much room.",
                "Delete the cookies of this site, then try again.",
            ),
            Failure::TargetTooLong => (
                "This address is too long",
                "It is longer than anything that a site usually asks for.",
                "Go back to the page before, or look for the page another way.",
            ),
            Failure::VersionUnknown => (
                "This application speaks another language",
                "It uses a version of the web that the filter does not know.",
                "Update the application or the browser.",
            ),
            Failure::Unsupported => (
                "This request is of an unknown kind",
                "The browser or the application asks for something that the filter cannot pass on.",
                "Try another browser.",
            ),
            Failure::ExpectationUnknown => (
                "This request expects a particular answer",
                "The application makes a condition that the filter cannot meet.",
                "Try another browser.",
            ),
            Failure::TooManyRequests => (
                "This device asks too fast",
                "It sends more requests a second than the filter takes from one device.",
                "Wait a few seconds, then reload the page.",
            ),
            Failure::TooManyConnections => (
                "This device has too many connections open",
                "It keeps more of them than the filter takes from one device.",
                "Close tabs or applications, then reload the page.",
            ),
            Failure::RequestTimedOut => (
                "The request did not arrive whole",
                "The device began a request and did not finish it.",
                "Check that the Wi-Fi works, then reload the page.",
            ),
            Failure::TooBusy => (
                "Too many people at once",
                "There are more requests under way than the filter can carry.",
                "Close the tabs you do not need and try again in a minute.",
            ),
            Failure::NotRecorded => (
                "Internet access is paused for a moment",
                "The log of accesses, which the school must keep by law, cannot be written. \
                 While that lasts, pages do not open.",
                "Tell an adult of the school, with the reference below.",
            ),
            Failure::Ours => (
                "The filter had a problem",
                "The fault is the school’s filter, not yours and not the site’s.",
                "Try again. If it happens again, give the reference below to the school.",
            ),
        };
        FailureWords { title, what, cure }
    }
}

struct FailureWords {
    title: &'static str,
    what: &'static str,
    cure: &'static str,
}

/// A failure in words.
#[derive(Debug, Clone, Copy)]
pub struct ErrorPage<'a> {
    pub school: School<'a>,
    pub language: Language,
    pub failure: Failure,
    /// Absent where the request was not read so far.
    pub host: Option<&'a str>,
    pub reference: Reference,
    pub time: Timestamp,
    pub information_url: &'a str,
}

#[derive(Template)]
#[template(path = "gateway/answer/templates/error.html")]
struct Error<'a> {
    style: &'static str,
    language: Language,
    school: String,
    words: FailureWords,
    host: Option<String>,
    reference: String,
    moment: String,
    machine_moment: String,
    contact: Option<Mail>,
    information_url: &'a str,
}

/// The whole page; its status is [`Failure::status`].
pub fn error_page(page: &ErrorPage<'_>) -> String {
    let words = |text| shown(page.language, text);
    fill(&Error {
        style: STYLE,
        language: page.language,
        school: words(page.school.name),
        words: page.failure.words(page.language),
        host: page.host.map(words),
        reference: page.reference.to_string(),
        moment: moment(page.language, page.time, page.school.time_zone),
        machine_moment: machine_moment(page.time),
        contact: page.school.contact.map(Mail::to),
        information_url: page.information_url,
    })
}
