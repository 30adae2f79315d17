//! The `LISEZ-MOI.txt`: what a person must know who receives a package and has never heard of this program.

use std::fmt::Write;

use super::Manifest;
use crate::access::Stream;
use crate::store::embedded::column_names;

/// The text of one package, in French.
pub(super) fn text(manifest: &Manifest) -> String {
    let mut text = String::new();
    let stream = match manifest.stream {
        Stream::Accesses => "accès au web (qui a demandé quoi, et ce qui a été décidé)",
        Stream::Connections => "connexions (données de l'article R. 10-13 du CPCE)",
    };
    // Writing to a text does not fail.
    let _ = write!(
        text,
        "EXPORT DU JOURNAL D'UNE PASSERELLE ÉCLUSE\r\n\
         =========================================\r\n\r\n\
         Ce dossier contient {rows} ligne(s) du journal des {stream}.\r\n\
         Fait le {made} (UTC) par la passerelle {gateway} du collège {college}.\r\n\
         Motif déclaré : {reason}\r\n\
         Question n° {question} de la piste des consultations.\r\n\r\n\
         VÉRIFIER\r\n--------\r\n\
         ecluse log verify CE-DOSSIER --trust EMPREINTE\r\n\r\n\
         Le programme ne demande ni réseau ni autre fichier. Il nomme la première ligne modifiée, retirée, ajoutée ou\r\n\
         déplacée. L'empreinte de la clé doit vous parvenir par une autre voie que ce dossier (courrier de l'académie,\r\n\
         téléphone) ; comparez-la. Clé qui a signé ce dossier :\r\n\
         {fingerprint}\r\n\r\n\
         LES FICHIERS\r\n------------\r\n\
         rows.csv        les lignes, pour un tableur (UTF-8, séparateur virgule)\r\n\
         rows.jsonl      les mêmes lignes, exactes, un objet JSON par ligne\r\n\
         manifest.json   ce qui a été demandé, combien de lignes, la somme SHA-256 de chaque fichier\r\n\
         manifest.sig    la signature Ed25519 du manifeste\r\n\
         manifest.tsr    s'il est là : le jeton RFC 3161 d'une autorité d'horodatage sur le manifeste\r\n\
         leaves.jsonl    la place de chaque ligne dans les arbres que la passerelle avait scellés\r\n\
         roots.jsonl     les racines signées de ces arbres, chaînées, avec l'état de l'horloge lors du scellement\r\n\
         openings.jsonl  les autres feuilles ouvertes à moitié, si l'export prouve aussi ce qui n'y est pas\r\n\r\n",
        rows = manifest.rows,
        made = manifest.made,
        gateway = manifest.gateway,
        college = manifest.college,
        reason = one_line(&manifest.reason),
        question = manifest.question,
        fingerprint = manifest.key.fingerprint(),
    );
    times_and_fields(manifest, &mut text);
    limits(manifest, &mut text);
    text
}

fn times_and_fields(manifest: &Manifest, text: &mut String) {
    text.push_str(
        "LES HEURES\r\n----------\r\n\
         Toutes en temps universel (UTC), lettre Z, au millionième de seconde. À Paris : une heure de plus l'hiver, deux\r\n\
         l'été. L'intervalle demandé comprend son début et non sa fin ; une ligne y est si elle a commencé dedans. Une\r\n\
         ligne marquée clock-doubtful a été écrite par une horloge qui avait reculé.\r\n\r\n\
         LES CHAMPS\r\n----------\r\n",
    );
    for column in column_names(manifest.stream) {
        let _ = write!(text, "{column:<18} {}\r\n", meaning(column));
    }
    text.push_str(
        "\r\nDans rows.csv, une cellule qu'un tableur prendrait pour une formule est précédée d'une apostrophe ;\r\n\
         rows.jsonl fait foi.\r\n\r\n",
    );
}

fn limits(manifest: &Manifest, text: &mut String) {
    text.push_str(
        "LES LIMITES\r\n-----------\r\n\
         - Ce qui est prouvé : ces lignes sont celles que la passerelle a scellées, à la date de la racine, et n'ont pas\r\n\
         \x20 changé depuis. Non prouvé : que la passerelle ait dit vrai en les écrivant, ni que son horloge ait été juste\r\n\
         \x20 (les racines disent ce que le noyau savait de son erreur).\r\n\
         - Une personne n'y figure que par un pseudonyme du jour ; la correspondance est scellée ailleurs.\r\n\
         - Une adresse désigne un appareil à un moment, pas la personne qui le tenait.\r\n\
         - Ni contenu, ni mot cherché (ce qui suit « ? » n'est jamais gardé) ; le chemin seulement si la politique le veut.\r\n\
         - Un accès à une ligne d'aide aux enfants ne garde ni personne, ni adresse, ni heure exacte.\r\n",
    );
    let unproven = manifest.rows.saturating_sub(manifest.proven);
    if unproven > 0 {
        let _ = write!(
            text,
            "- {unproven} ligne(s) n'ont pas encore de racine, ou leur arbre n'a pu être recalculé : le manifeste seul en répond.\r\n"
        );
    }
    if manifest.complete {
        text.push_str(
            "- Cet export prouve aussi qu'il ne manque aucune réponse : chaque autre feuille de la période est ouverte à\r\n\
             \x20 moitié dans openings.jsonl, soit « quand et qui » (pseudonyme, adresse, heures), soit « quand et quoi »\r\n\
             \x20 (site, décision), jamais les deux. Ces moitiés concernent d'autres personnes : ne les diffusez pas.\r\n",
        );
    } else {
        text.push_str("- Cet export ne prouve pas qu'il ne manque aucune réponse (option --complete).\r\n");
    }
    for gap in &manifest.gaps {
        let gap = &gap.gap;
        let _ = write!(
            text,
            "- Manque connu, du {} au {} : {} enregistrement(s) ({}).\r\n",
            gap.since,
            gap.until,
            if gap.count == 0 { "un nombre inconnu d'".to_owned() } else { gap.count.to_string() },
            one_line(&gap.cause)
        );
    }
    let _ = write!(text, "- État de la collecte lors de l'export : {}\r\n", one_line(&manifest.pending));
    for note in &manifest.notes {
        let _ = write!(text, "- {}\r\n", one_line(note));
    }
}

/// What somebody typed cannot look like a line of ours.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn meaning(column: &str) -> &'static str {
    match column {
        "college" => "code UAI du collège",
        "gateway" => "nom de la passerelle",
        "lane" => "voie du journal : une par démarrage de la passerelle, jamais réutilisée",
        "sequence" => "numéro d'ordre dans la voie",
        "slice" => "tranche d'un flux long (0 : la première)",
        "connection" => "numéro de la connexion empruntée, dans la même voie ; 0 : aucune",
        "person" => "pseudonyme du jour ; vide : personne d'identifié",
        "identity_source" => "d'où vient l'identité",
        "identity_strength" => "ce que vaut cette identification",
        "device" => "appareil",
        "client_address" => "adresse de l'appareil dans le collège",
        "client_port" => "port de l'appareil",
        "outward_address" => "adresse de sortie de la passerelle",
        "outward_port" => "port de sortie",
        "origin_address" => "adresse jointe",
        "origin_port" => "port joint",
        "start" => "début (UTC)",
        "end" => "fin (UTC)",
        "method" => "méthode HTTP",
        "host" => "nom ou adresse demandés",
        "host_source" => "d'où ce nom est connu (asked, clear, sni, address…)",
        "port" => "port demandé",
        "protocol" => "protocole reconnu",
        "path" => "chemin, si la politique le garde ; jamais ce qui suit « ? »",
        "category" => "catégorie de la liste",
        "action" => "décision (refuse, forward, tunnel…)",
        "rule" => "règle qui a décidé",
        "list" => "liste",
        "entry" => "entrée de la liste et sa place",
        "rules_version" => "version de la politique",
        "status" => "réponse HTTP",
        "bytes_up" => "octets envoyés vers l'origine",
        "bytes_down" => "octets reçus de l'origine",
        "finding" => "ce qu'un examen a trouvé",
        "visit" => "page visitée ou ressource d'une page",
        "ending" => "comment cela s'est terminé (interrupted : la passerelle s'est arrêtée)",
        "asked" => "nom demandé, si host en est un autre",
        "earlier_rule" => "règle d'une première décision différente",
        "reference" => "code montré sur la page de refus",
        "count" => "combien de semblables cette ligne représente",
        "flags" => "circonstances (help-line, clock-doubtful, bypass…)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_explained() {
        for stream in Stream::ALL {
            for column in column_names(*stream) {
                assert!(!meaning(column).is_empty(), "{column}");
            }
        }
    }
}
