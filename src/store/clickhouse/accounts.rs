//! Who may do what on the server, as statements: a gateway adds rows of its own and reads none; a reader sees one college.
//!
//! | account | may | may not |
//! |---|---|---|
//! | user `gw_<gateway>` | insert rows of its gateway and college; see the keys of its own rows and the hashes of its own roots, to compare them with its journal | read, change or delete a row |
//! | role `college_<code>` | read all of one college, within a quota | read another's, write |
//! | role `all_colleges` | read all | write |

use std::fmt::Write;

use super::schema::{GAPS, HOURLY, PROOFS, Plan, account_of};
use crate::access::{CollegeCode, GatewayName};

/// How an account shows who it is.
pub enum Secret<'a> {
    /// A password; the server gets its SHA-256 only.
    Password(&'a str),
    /// A client certificate with this common name.
    Certificate(&'a str),
}

/// What a query of a reader may cost.
const QUERY_SECONDS: u32 = 120;
/// A bad hour of an investigation, not a scan of the whole year over and over.
const QUERIES_AN_HOUR: u32 = 2_000;
const ROWS_AN_HOUR: u64 = 50_000_000_000;

/// The statements that let a gateway write.
pub fn gateway(plan: &Plan, gateway: &GatewayName, college: &CollegeCode, secret: &Secret<'_>) -> Vec<String> {
    let (on, account, database) = (plan.on_cluster(), account_of(gateway), &plan.database);
    let identified = match secret {
        Secret::Password(password) => format!("sha256_hash BY '{}'", sha256(password)),
        Secret::Certificate(name) => {
            format!("ssl_certificate CN '{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
        }
    };
    let mut all = vec![format!(
        "CREATE USER OR REPLACE `{account}`{on} IDENTIFIED WITH {identified} SETTINGS SQL_college = '{college}' CONST"
    )];
    for table in ["accesses", "connections", GAPS, PROOFS] {
        all.push(format!("GRANT{on} INSERT, SHOW COLUMNS ON `{database}`.{table} TO `{account}`"));
        for local in locals(plan, table) {
            all.push(format!(
                "CREATE ROW POLICY OR REPLACE `{account}`{on} ON {local} USING gateway = '{gateway}' AND college = '{college}' TO `{account}`"
            ));
        }
    }
    for table in ["accesses", "connections"] {
        all.push(format!(
            "GRANT{on} SELECT(college, gateway, lane, sequence, slice, start) ON `{database}`.{table} TO `{account}`"
        ));
    }
    all.push(format!(
        "GRANT{on} SELECT(stream, college, gateway, number, root) ON `{database}`.{PROOFS} TO `{account}`"
    ));
    all
}

/// The statements that make a role which reads one college, or all of them.
pub fn reader(plan: &Plan, college: Option<&CollegeCode>) -> Vec<String> {
    let (on, database) = (plan.on_cluster(), &plan.database);
    let (role, condition) = match college {
        Some(college) => (format!("college_{college}"), format!("college = '{college}'")),
        None => ("all_colleges".to_owned(), "1".to_owned()),
    };
    let mut all = vec![format!(
        "CREATE ROLE OR REPLACE `{role}`{on} SETTINGS max_execution_time = {QUERY_SECONDS}, max_memory_usage = 8000000000"
    )];
    for table in ["accesses", "connections", GAPS, HOURLY, PROOFS] {
        all.push(format!("GRANT{on} SELECT, SHOW COLUMNS ON `{database}`.{table} TO `{role}`"));
        for local in locals(plan, table) {
            all.push(format!("CREATE ROW POLICY OR REPLACE `{role}`{on} ON {local} USING {condition} TO `{role}`"));
        }
    }
    all.push(format!(
        "CREATE QUOTA OR REPLACE `{role}`{on} KEYED BY user_name FOR INTERVAL 1 hour MAX queries = {QUERIES_AN_HOUR}, \
         read_rows = {ROWS_AN_HOUR} TO `{role}`"
    ));
    all
}

/// Where a policy must stand to hold: on a cluster, on the rows as well as on the table before them.
fn locals(plan: &Plan, table: &str) -> Vec<String> {
    let before = format!("`{}`.`{table}`", plan.database);
    let local = plan.local(table);
    if before == local { vec![before] } else { vec![before, local] }
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
