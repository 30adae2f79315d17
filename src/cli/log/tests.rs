use std::cell::Cell;

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::access::{GatewayName, Row, Stream};
use crate::store::Embedded;
use crate::store::suite::{self, sample};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    log: LogArgs,
}

/// A state directory, the answers to its commands, and what the journal's part was asked.
struct Desk {
    state: TempDir,
    brought_in: Cell<bool>,
}

struct Answer {
    code: u8,
    out: String,
    err: String,
}

const NAMED: Pseudonym = Pseudonym([2; 16]);

impl Desk {
    fn empty() -> Self {
        Desk { state: TempDir::new().unwrap(), brought_in: Cell::new(false) }
    }

    fn with_rows() -> (Self, Vec<Row>) {
        let desk = Desk::empty();
        let rows = sample::rows(&mut sample::Dice::seeded(9), Stream::Accesses, 150);
        desk.block_on(suite::insert(&Embedded::open(&desk.store()).unwrap(), &rows));
        (desk, rows)
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn store(&self) -> PathBuf {
        self.state.path().join("store")
    }

    fn places(&self) -> Places {
        Places {
            store: AnyStore::Embedded(Embedded::open_read_only(&self.store())),
            state: self.state.path().into(),
            clock: Clock::manual("2026-11-25T09:00:00Z".parse().unwrap()),
            zone: TimeZone::get("Europe/Paris").unwrap(),
            width: None,
            exports: Exports {
                folder: self.state.path().join("proofs"),
                key_file: None,
                college: CollegeCode::parse("0131234A").unwrap(),
                gateway: GatewayName::parse("gw-1").unwrap(),
                tsa: None,
            },
        }
    }

    fn ask(&self, words: &[&str]) -> Answer {
        let line = CommandLine::try_parse_from(["log"].iter().chain(words)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let pending = || Pending {
            complete_up_to: "2026-11-25T08:59:30Z".parse().ok(),
            waiting: vec![(GatewayName::parse("gw-1").unwrap(), 3)],
        };
        let bring_in = async || {
            assert_eq!(self.trail().lines().last().map(|line| line.contains("asked")), Some(true), "not written down");
            self.brought_in.set(true);
            Ok(())
        };
        let unseal = |identity: &Path, name: &PersonName, _: &Filter| {
            anyhow::ensure!(identity == Path::new("key.txt"), "the identity opens nothing");
            assert_eq!(name.as_str(), "Camille");
            Ok(vec![NAMED])
        };
        let code = self.block_on(run(line.log, &self.places(), bring_in, pending, unseal, &mut out, &mut err));
        if code != NO_TRAIL {
            trail::verify(self.state.path()).unwrap();
        }
        Answer { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    }

    fn trail(&self) -> String {
        std::fs::read_to_string(self.state.path().join("trail/consultations-2026-11.jsonl")).unwrap_or_default()
    }
}

fn json_rows(text: &str) -> Vec<Row> {
    text.lines().map(|line| Row::Access(serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn json_is_every_row_under_its_column_names_and_nothing_else_on_stdout() {
    let (desk, mut rows) = Desk::with_rows();
    let answer = desk.ask(&["search", "--format", "json", "--oldest-first"]);
    rows.sort_by(|a, b| crate::store::Order::OldestFirst.compare(a, b));
    assert_eq!((answer.code, json_rows(&answer.out)), (OK, rows));
    assert_eq!(answer.err, "complete up to 09:59:30; 3 rows of gateway gw-1 not yet here\n");
    assert!(desk.brought_in.get());
    let first: serde_json::Value = serde_json::from_str(answer.out.lines().next().unwrap()).unwrap();
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    let columns: Vec<&str> = crate::store::embedded::column_names(Stream::Accesses).collect();
    assert!(names.len() == columns.len() && columns.iter().all(|column| first.get(*column).is_some()), "{names:?}");
    assert!(first["start"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn csv_has_a_header_and_as_many_rows() {
    let (desk, rows) = Desk::with_rows();
    let answer = desk.ask(&["search", "--format", "csv"]);
    assert!(answer.out.starts_with("college,gateway,lane,sequence,slice,connection,person,"), "{}", answer.out);
    let mut reader = ::csv::Reader::from_reader(answer.out.as_bytes());
    let records: Vec<::csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), rows.len());
    let a_formula = records.iter().flatten().find(|cell| cell.starts_with(['=', '+', '-', '@']));
    assert_eq!(a_formula, None);
}

#[test]
fn a_table_is_for_reading() {
    let (desk, rows) = Desk::with_rows();
    let answer = desk.ask(&["search", "--limit", "7"]);
    let lines: Vec<&str> = answer.out.lines().collect();
    assert!(lines[0].starts_with("Heure "), "{}", lines[0]);
    assert_eq!(lines.len(), 1 + 7 + 1);
    assert_eq!(lines[8], "complete up to 09:59:30; 3 rows of gateway gw-1 not yet here");
    let newest = rows.iter().map(Row::start).max().unwrap();
    assert!(lines[1].starts_with(&local(newest, &desk.places().zone)), "{}", lines[1]);
    assert!(answer.err.starts_with("there are more than these 7 rows"), "{}", answer.err);
    assert!(answer.out.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn bad_filters_are_all_named_and_the_refusal_is_in_the_trail() {
    let desk = Desk::empty();
    let words = ["search", "--from", "soon", "--limit", "0", "--format", "xml", "--person", "Camille", "--client", "x"];
    let answer = desk.ask(&words);
    assert_eq!((answer.code, answer.out.as_str()), (USAGE, ""));
    for part in ["--from: `soon`", "--limit: `0`", "--format: `xml`", "--person: a name is sealed", "--client: `x`"] {
        assert!(answer.err.contains(part), "{part} in {}", answer.err);
    }
    assert!(!desk.brought_in.get());
    let trail = desk.trail();
    assert!(trail.lines().count() == 2 && trail.contains("\"refused\""), "{trail}");
    assert!(!trail.contains("Camille"), "{trail}");
}

#[test]
fn a_name_wants_an_identity_and_a_reason_and_is_in_the_trail_by_its_pseudonyms() {
    let (desk, rows) = Desk::with_rows();
    let of_camille = rows.iter().filter(|row| matches!(row, Row::Access(row) if row.record.person == Some(NAMED)));
    let words = ["search", "--format", "json", "--person", "Camille", "--unseal"];
    let answer = desk.ask(&[&words[..], &["key.txt", "--reason", "case 12"]].concat());
    assert_eq!((answer.code, json_rows(&answer.out).len()), (OK, of_camille.count()));
    let trail = desk.trail();
    assert!(trail.contains(&NAMED.to_string()) && trail.contains("case 12") && !trail.contains("Camille"), "{trail}");

    assert_eq!(desk.ask(&[&words[..], &["key.txt"]].concat()).code, USAGE);
    let answer = desk.ask(&[&words[..], &["other.txt", "--reason", "x"]].concat());
    assert_eq!(
        (answer.code, answer.err.as_str()),
        (NO_INPUT, "the names were not unsealed: the identity opens nothing\n")
    );
}

#[test]
fn nothing_is_shown_when_the_trail_cannot_be_written() {
    let (desk, _) = Desk::with_rows();
    std::fs::write(desk.state.path().join("trail"), "in the way").unwrap();
    let answer = desk.ask(&["search", "--format", "json"]);
    assert_eq!((answer.code, answer.out.as_str()), (NO_TRAIL, ""));
    assert!(answer.err.contains("nothing is shown"), "{}", answer.err);
}

#[test]
fn an_absent_store_is_no_empty_answer() {
    let desk = Desk::empty();
    let answer = desk.ask(&["search"]);
    assert_eq!(answer.code, NO_INPUT);
    assert!(answer.err.contains("there is no store in"), "{}", answer.err);
}

#[test]
fn counts_come_for_people_and_for_machines() {
    let (desk, _) = Desk::with_rows();
    let answer = desk.ask(&["stats"]);
    for heading in ["Décision", "Catégorie", "Hôte", "complete up to"] {
        assert!(answer.out.contains(heading), "{}", answer.out);
    }
    let answer = desk.ask(&["stats", "--by", "host,hour", "--top", "2", "--format", "json"]);
    let lines: Vec<serde_json::Value> = answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["by"] == "host").count(), 2);
    assert!(lines.iter().filter(|line| line["by"] == "hour").all(|line| line["key"].as_str().unwrap().ends_with('Z')));
    let answer = desk.ask(&["stats", "--by", "host", "--format", "csv"]);
    assert!(answer.out.starts_with("by,key,number,bytes_up,bytes_down\r\nhost,"), "{}", answer.out);
    let answer = desk.ask(&["stats", "--by", "hosts"]);
    assert!(answer.code == USAGE && answer.err.contains("`hosts` is none of: day,"), "{}", answer.err);
    let answer = desk.ask(&["stats", "--by", "host", "--stream", "connections"]);
    assert_eq!((answer.code, answer.err.as_str()), (USAGE, "connections have no host: ask accesses for it\n"));
}

/// Takes so many bytes, then is closed.
struct Head(usize);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_who_has_enough_is_no_error_and_the_trail_says_how_far_it_went() {
    let (desk, _) = Desk::with_rows();
    let line = CommandLine::try_parse_from(["log", "search", "--format", "json"]).unwrap();
    let mut err = Vec::new();
    let pending = || Pending::nothing(Timestamp::default());
    let unseal = |_: &Path, _: &PersonName, _: &Filter| Ok(vec![]);
    let out = &mut Head(5000);
    let code = desk.block_on(run(line.log, &desk.places(), async || Ok(()), pending, unseal, out, &mut err));
    assert_eq!((code, err.as_slice()), (OK, &b""[..]));
    assert!(desk.trail().lines().last().unwrap().contains("\"complete\":false"));
}
