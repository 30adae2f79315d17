//! The schema in numbered steps. What was applied stands in `schema_migrations`; applied once more, a step changes nothing.
//!
//! A step that was released is never changed: a later one alters what it made. Durations are no step: they are set anew
//! whenever the policy's differ from the tables'.

use super::columns::{Column, Definition, Line};
use super::read::all;
use super::schema::{GAPS, HOURLY, PROOFS, Plan, counted};
use super::select::{Statement, Value};
use super::{ClickHouse, OpenError};
use crate::access::Stream;
use crate::store::ReadError;

/// A step.
struct Migration {
    number: u32,
    name: &'static str,
    statements: fn(&Plan) -> Vec<String>,
}

const MIGRATIONS: [Migration; 3] = [
    Migration { number: 1, name: "rows and gaps", statements: Plan::tables },
    Migration { number: 2, name: "counts by hour", statements: Plan::rollups },
    Migration { number: 3, name: "proofs", statements: Plan::proofs },
];

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrated {
    /// Number and name of the steps that were applied now.
    pub applied: Vec<(u32, String)>,
    /// Tables whose durations were changed.
    pub durations: Vec<String>,
}

/// Why a migration did not end. What was applied stays; run it again.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("{why}\n  in: {statement}")]
    Refused { statement: String, why: String },
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the store is at step {found} and this program knows {known}: install the newer version of it")]
    Newer { found: u32, known: u32 },
}

/// Everything a new server or cluster needs, as it would be sent.
pub fn statements(plan: &Plan) -> Vec<String> {
    let mut all = beginning(plan);
    for migration in &MIGRATIONS {
        all.extend((migration.statements)(plan));
        all.push(noted(plan, migration));
    }
    all
}

fn beginning(plan: &Plan) -> Vec<String> {
    let on = plan.on_cluster();
    let engine = match plan.cluster {
        None => "MergeTree".to_owned(),
        // One shard for all: each replica of each shard knows the steps.
        Some(_) => format!(
            "ReplicatedMergeTree('/clickhouse/tables/all/{}/schema_migrations', '{{shard}}-{{replica}}')",
            plan.database
        ),
    };
    vec![
        format!("CREATE DATABASE IF NOT EXISTS `{}`{on}", plan.database),
        format!(
            "CREATE TABLE IF NOT EXISTS `{}`.schema_migrations{on} (number UInt32, name String, at DateTime('UTC') DEFAULT now()) \
             ENGINE = {engine} ORDER BY number",
            plan.database
        ),
    ]
}

fn noted(plan: &Plan, migration: &Migration) -> String {
    format!(
        "INSERT INTO `{}`.schema_migrations (number, name) VALUES ({}, '{}')",
        plan.database, migration.number, migration.name
    )
}

/// A step as the table has it.
struct Applied {
    number: u32,
}

impl Line for Applied {
    const COLUMNS: &'static [Definition] = &[Definition::new("number", "UInt32")];
    fn put(&self, out: &mut Vec<u8>) {
        self.number.put(out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        u32::take(input).map(|number| Applied { number })
    }
}

impl ClickHouse {
    /// Brings the server or the cluster to this program's schema, and its durations to the plan's.
    pub async fn migrate(&self, plan: &Plan) -> Result<Migrated, MigrationError> {
        for statement in beginning(plan) {
            self.execute(&statement).await?;
        }
        let found = self.applied(plan).await?;
        let known = MIGRATIONS.last().map_or(0, |last| last.number);
        if found > known {
            return Err(MigrationError::Newer { found, known });
        }
        let mut migrated = Migrated::default();
        for migration in MIGRATIONS.iter().filter(|migration| migration.number > found) {
            for statement in (migration.statements)(plan) {
                self.execute(&statement).await?;
            }
            self.execute(&noted(plan, migration)).await?;
            migrated.applied.push((migration.number, migration.name.to_owned()));
        }
        migrated.durations = self.set_durations(plan).await?;
        Ok(migrated)
    }

    async fn applied(&self, plan: &Plan) -> Result<u32, MigrationError> {
        let sql = format!(
            "SELECT 0 AS last, max(number) AS number FROM `{0}`.schema_migrations UNION ALL SELECT 1, toUInt32(0)",
            plan.database
        );
        let sql = format!("SELECT toUInt8(last) AS last, toUInt32(number) AS number FROM ({sql}) ORDER BY last");
        let lines: Vec<Applied> = all(self, &Statement { sql, values: Vec::new() }).await?;
        Ok(lines.iter().map(|line| line.number).max().unwrap_or(0))
    }

    /// Alters the tables whose TTL is another than the plan's.
    async fn set_durations(&self, plan: &Plan) -> Result<Vec<String>, MigrationError> {
        let mut wanted: Vec<(&str, String)> =
            Stream::ALL.iter().map(|stream| (stream.as_str(), plan.ttl(*stream))).collect();
        wanted.push((GAPS, plan.ttl_of_gaps()));
        wanted.push((HOURLY, plan.ttl_of_hours()));
        wanted.push((PROOFS, plan.ttl_of_proofs()));
        let mut changed = Vec::new();
        for (table, ttl) in wanted {
            let local = plan.local(table);
            if self.has_ttl(plan, &local, &ttl).await? {
                continue;
            }
            // Old parts get the new duration as well: whoever shortens it means them.
            let on = plan.on_cluster();
            self.execute(&format!("ALTER TABLE {local}{on} MODIFY TTL {ttl}")).await?;
            changed.push(table.to_owned());
        }
        Ok(changed)
    }

    async fn has_ttl(&self, plan: &Plan, local: &str, ttl: &str) -> Result<bool, MigrationError> {
        let name = local.rsplit('.').next().unwrap_or(local).trim_matches('`');
        let sql = "SELECT toUInt8(last) AS last, number FROM (
            SELECT 0 AS last, toUInt32(position(create_table_query, concat(' TTL ', ?, ' ')) > 0) AS number
              FROM system.tables WHERE database = ? AND name = ?
            UNION ALL SELECT 1, toUInt32(0)) ORDER BY last";
        let values = [ttl, &plan.database, name].map(Value::from).to_vec();
        let lines: Vec<Applied> = all(self, &Statement { sql: sql.to_owned(), values }).await?;
        Ok(lines.first().is_some_and(|line| line.number == 1))
    }

    /// Counts the rows of `hourly` for one day anew, from the rows themselves. Nobody may insert meanwhile that day's rows.
    pub async fn rebuild_hours(&self, plan: &Plan, day: &str) -> Result<(), MigrationError> {
        let (hourly, on) = (plan.local(HOURLY), plan.on_cluster());
        self.execute(&format!("ALTER TABLE {hourly}{on} DROP PARTITION '{day}'")).await?;
        let counted = counted(&plan.local("accesses"));
        let (before, after) = counted.split_once(" GROUP BY").unwrap_or((&counted, ""));
        self.execute(&format!("INSERT INTO {hourly} {before} WHERE toDate(start) = '{day}' GROUP BY{after}")).await
    }
}
