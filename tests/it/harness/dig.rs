//! `dig`, as a device of the school asks.

use std::net::SocketAddr;

use tokio::process::Command;

/// What `dig` printed.
#[derive(Debug)]
pub struct Dug {
    /// `NOERROR`, `NXDOMAIN`…; `TIMEOUT` where nobody answered.
    pub status: String,
    /// `qr rd ra`…
    pub flags: Vec<String>,
    /// The records of the answer section, blanks made one: `a.test. 300 IN A 127.0.0.1`.
    pub answers: Vec<String>,
    pub text: String,
}

impl Dug {
    /// The data of the answers of a type, in the order of the answer.
    pub fn data(&self, kind: &str) -> Vec<String> {
        let of = |line: &String| {
            let mut words = line.split(' ');
            let found = words.nth(3)? == kind;
            found.then(|| words.collect::<Vec<_>>().join(" "))
        };
        self.answers.iter().filter_map(of).collect()
    }

    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }
}

/// Asks `server` from the address `from`, once; `question` is what stands behind the server on dig's command line.
pub async fn dig(server: SocketAddr, from: &str, question: &str) -> Dug {
    let mut command = Command::new("dig");
    command.args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), "-b", from]);
    command.args(["+tries=1", "+time=6", "+nocookie"]).args(question.split(' ')).kill_on_drop(true);
    let output = command.output().await.expect("dig starts");
    read(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(text: String) -> Dug {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let status = after("status: ").and_then(|rest| rest.split(',').next()).unwrap_or("TIMEOUT").to_owned();
    let flags = after("\n;; flags: ").and_then(|rest| rest.split(';').next()).unwrap_or_default();
    let flags = flags.split_whitespace().map(str::to_owned).collect();
    let section = after(";; ANSWER SECTION:\n").and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let records = section.lines().filter(|line| !line.starts_with(';'));
    let answers = records.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    Dug { status, flags, answers, text }
}
