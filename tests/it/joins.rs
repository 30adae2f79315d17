//! What the two streams tell together: each access leads to its connection, and none from a person to a help-line.

use serde_json::Value;

use crate::harness::cli::{number, text};
use crate::harness::school::School;
use crate::harness::site::PUPIL;
use crate::harness::tls::Authority;

/// The rows of both streams once there are so many of each.
async fn both(school: &School, accesses: usize, connections: usize) -> (Vec<Value>, Vec<Value>) {
    let accesses = school.gateway.rows(accesses, &[]).await;
    (accesses, school.gateway.rows(connections, &["--stream", "connections"]).await)
}

/// A school that keeps persons, with a pupil of a name.
async fn nominative() -> School {
    School::open_with(|site| {
        site.set("persons", &format!("recipients = [\"{}\"]", age::x25519::Identity::generate().to_public()));
        site.write_rule("people.csv", &format!("address,person,groups\n{PUPIL},lea.martin,eleves\n"));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_that_we_answer_names_the_connection_that_it_came_by() {
    let school = School::open().await;
    // Refused only: the row of its own, written at the end.
    let mut browser = school.pupil().await;
    let port = browser.line.local().port();
    for path in ["/a", "/b"] {
        assert_eq!(browser.get(&school.url("adult.test", path)).await.status, 403);
    }
    drop(browser);
    let (accesses, connections) = both(&school, 2, 1).await;
    assert_eq!(number(&connections[0], "client_port"), u64::from(port));
    assert!(accesses.iter().all(|row| row["connection"] == connections[0]["sequence"]), "{accesses:#?}");

    // Refused, passed, refused: the row of its origin's connection.
    let mut browser = school.pupil().await;
    let port = browser.line.local().port();
    for (host, status) in [("adult.test", 403), ("plain.test", 200), ("adult.test", 403)] {
        assert_eq!(browser.get(&school.url(host, "/")).await.status, status);
    }
    drop(browser);
    let (accesses, connections) = both(&school, 5, 2).await;
    let own: Vec<&Value> = connections.iter().filter(|row| number(row, "client_port") == u64::from(port)).collect();
    assert_eq!(own.len(), 1, "no row more than before");
    let named = accesses.iter().filter(|row| row["connection"] == own[0]["sequence"]).count();
    assert_eq!(named, 3, "{accesses:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_join_of_the_two_streams_brings_a_person_and_a_help_line_together() {
    // So many bytes and no other: what two rows of one exchange would have in common.
    const TELLING: &str = "/bytes/4321";
    let school = nominative().await;
    let authority = Authority::new();
    let secure = crate::harness::origin::Origin::https(authority.acceptor(&["help.test", "plain.test"])).await;
    // On one connection with what is refused and what passes, before and after.
    let mut browser = school.pupil().await;
    for host in ["adult.test", "help.test", "adult.test", "plain.test", "help.test", "adult.test"] {
        let path = if host == "help.test" { TELLING } else { "/" };
        browser.get(&school.url(host, path)).await;
    }
    drop(browser);
    // Asked for by a tunnel, in the clear inside of one to another name, and by its first bytes only.
    let browser = school.pupil().await;
    let mut page = browser.tunnel(&format!("help.test:{}", secure.port()), "help.test", &authority.connector()).await;
    page.as_mut().expect("a tunnel").get("help.test", TELLING).await;
    drop(page);
    let mut browser = school.pupil().await;
    assert_eq!(browser.connect(&format!("plain.test:{}", school.origin.port())).await.status, 200);
    let inside = format!("help.test:{}", school.origin.port());
    browser.line.say(format!("GET {TELLING} HTTP/1.1\r\nHost: {inside}\r\n\r\n")).await;
    assert_eq!(browser.line.reply("GET").await.status, 200);
    drop(browser);
    let browser = school.pupil().await;
    let page = browser.tunnel(&format!("plain.test:{}", secure.port()), "help.test", &authority.connector()).await;
    drop(page);

    let (accesses, connections) = both(&school, 10, 6).await;
    let is_help_line = |row: &&Value| row["flags"].as_array().expect("flags").iter().any(|flag| flag == "help-line");
    let names = |row: &&Value| !row["person"].is_null() || !row["client_address"].is_null();
    let help: Vec<&Value> = accesses.iter().filter(is_help_line).collect();
    assert!(help.len() >= 4, "{accesses:#?}");
    for row in accesses.iter().chain(&connections).filter(is_help_line) {
        assert!(!names(&row), "{row:#}");
    }
    let named: Vec<&Value> = accesses.iter().chain(&connections).filter(names).collect();
    assert!(named.len() >= 6, "{named:#?}");
    let rows = || accesses.iter().chain(&connections);
    for (help, named) in rows().filter(is_help_line).flat_map(|help| named.iter().map(move |named| (help, *named))) {
        // The number that leads from an access to its connection, either way.
        for (access, connection) in [(help, named), (named, help)] {
            let joined = number(access, "connection") != 0 && access["connection"] == connection["sequence"];
            assert!(
                access["connection"].is_null() || !connection["connection"].is_null() || !joined,
                "{help:#}\n{named:#}"
            );
        }
        // What two rows of one exchange have in common: its bytes, its times, its codes and names.
        for bytes in ["bytes_up", "bytes_down"] {
            let joined = number(help, bytes) > 1000 && help[bytes] == named[bytes];
            assert!(!joined, "the same {bytes}:\n{help:#}\n{named:#}");
        }
        for time in ["start", "end"] {
            assert!(text(help, time).ends_with(":00:00.000000Z"), "{help:#}");
        }
        for column in ["reference", "asked", "origin_address", "outward_port", "client_port", "device"] {
            let is_said = !help[column].is_null() && help[column] != "";
            assert!(!is_said || help[column] != named[column], "the same {column}:\n{help:#}\n{named:#}");
        }
    }
}
