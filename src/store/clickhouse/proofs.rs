//! The roots of every gateway, and what opens the leaves of their trees: the table `proofs`, a line a tree.
//!
//! There is a tree in five or ten minutes of a gateway's stream, so each is looked for after it was sent, and an
//! acknowledgement is never all that is known. One that is there twice is one in every answer. Two different roots under one number are an
//! error and never a choice.

use std::collections::{BTreeMap, HashMap};

use super::columns::{Column, Definition, Line};
use super::migrate::MigrationError;
use super::read::all;
use super::schema::{PROOFS, Plan};
use super::select::{Value, until_the_last};
use super::{ClickHouse, encode, failure};
use crate::access::proof::{Hash, Sealed};
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};
use crate::clock::Clock;
use crate::store::proof::HORIZON_US;
use crate::store::{ChainName, ProofStore, ReadError, RootsAsked, StoreError};

/// A tree as the table has it.
pub(super) struct Tree {
    stream: Stream,
    college: CollegeCode,
    gateway: GatewayName,
    number: u64,
    /// The hash of the root's text: what a gateway's account may see of it.
    root: String,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    sealed: Timestamp,
    line: String,
}

impl Tree {
    fn of(sealed: &Sealed) -> Result<Tree, String> {
        let root = sealed.root.unverified_root().map_err(|e| e.to_string())?;
        Ok(Tree {
            stream: root.stream,
            college: root.college,
            gateway: root.gateway,
            number: root.number,
            root: sealed.root.hash().to_string(),
            first_time: root.first_time,
            last_time: root.last_time,
            sealed: root.sealed,
            line: serde_json::to_string(sealed).map_err(|e| e.to_string())?,
        })
    }

    fn chain(&self) -> ChainName {
        ChainName { college: self.college.clone(), gateway: self.gateway.clone(), stream: self.stream }
    }
}

impl Line for Tree {
    const COLUMNS: &'static [Definition] = &[
        Definition::new("stream", <Stream as Column>::TYPE),
        Definition::new("college", <String as Column>::TYPE),
        Definition::new("gateway", <String as Column>::TYPE),
        Definition::new("number", <u64 as Column>::TYPE),
        Definition::new("root", <String as Column>::TYPE),
        Definition::new("first_time", <Option<Timestamp> as Column>::TYPE),
        Definition::new("last_time", <Option<Timestamp> as Column>::TYPE),
        Definition::new("sealed", <Timestamp as Column>::TYPE),
        Definition::new("line", <String as Column>::TYPE),
    ];
    /// A tree whose leaves were all set aside holds a hash for each.
    const BYTES_MAX: usize = 16 << 20;

    fn put(&self, out: &mut Vec<u8>) {
        let Tree { stream, college, gateway, number, root, first_time, last_time, sealed, line } = self;
        stream.put(out);
        college.put(out);
        gateway.put(out);
        number.put(out);
        root.put(out);
        first_time.put(out);
        last_time.put(out);
        sealed.put(out);
        line.put(out);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        let stream = Column::take(input)?;
        let (college, gateway) = (Column::take(input)?, Column::take(input)?);
        let (number, root) = (Column::take(input)?, Column::take(input)?);
        let (first_time, last_time, sealed) = (Column::take(input)?, Column::take(input)?, Column::take(input)?);
        let line = Column::take(input)?;
        Some(Tree { stream, college, gateway, number, root, first_time, last_time, sealed, line })
    }
}

/// What a gateway may see of its own roots.
struct Known {
    number: u64,
    root: String,
}

impl Line for Known {
    const COLUMNS: &'static [Definition] =
        &[Definition::new("number", <u64 as Column>::TYPE), Definition::new("root", <String as Column>::TYPE)];

    fn put(&self, out: &mut Vec<u8>) {
        self.number.put(out);
        self.root.put(out);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(Known { number: Column::take(input)?, root: Column::take(input)? })
    }
}

impl ProofStore for ClickHouse {
    async fn keep(&self, sealed: &[Sealed]) -> Result<(), StoreError> {
        let mut chains: BTreeMap<ChainName, Vec<Tree>> = BTreeMap::new();
        for sealed in sealed {
            let tree = Tree::of(sealed).map_err(StoreError::Poison)?;
            chains.entry(tree.chain()).or_default().push(tree);
        }
        for (chain, trees) in chains {
            self.keep_chain(&chain, trees).await?;
        }
        Ok(())
    }

    async fn newest(&self, chain: &ChainName) -> Result<Option<(u64, Hash)>, ReadError> {
        let found = self.known(chain, "1 ORDER BY number DESC LIMIT 1").await?.into_iter().next();
        let Some(Known { number, root }) = found else { return Ok(None) };
        let root = root.parse().map_err(|_| ReadError::BrokeOff(format!("{chain}: the root {number} has no hash")))?;
        Ok(Some((number, root)))
    }

    async fn roots(&self, asked: &RootsAsked) -> Result<Vec<Sealed>, ReadError> {
        let (clause, values) = touching(asked, &self.0.server.database);
        let trees: Vec<Tree> = all(self, &until_the_last(&clause, Tree::COLUMNS, ORDER, values)).await?;
        if trees.len() > asked.most {
            return Err(asked.too_many());
        }
        as_sealed(&trees)
    }
}

const ORDER: &str = "college, gateway, number, line";

/// The trees of [`ProofStore::roots`], one more than is wanted at most.
fn touching(asked: &RootsAsked, database: &str) -> (String, Vec<Value>) {
    let at = |micros: i64| format!("fromUnixTimestamp64Micro(toInt64({micros}), 'UTC')");
    let mut whose = "stream = ?".to_owned();
    let mut values = vec![Value::from(asked.stream.as_str())];
    if let Some(college) = &asked.college {
        whose.push_str(" AND college = ?");
        values.push(college.as_str().into());
    }
    let from = asked.from.map(Timestamp::as_micros);
    let to = asked.to.map(Timestamp::as_micros);
    let mut touches = vec!["isNotNull(first_time)".to_owned()];
    touches.extend(from.map(|from| format!("ifNull(last_time >= {}, 0)", at(from))));
    touches.extend(to.map(|to| format!("ifNull(first_time < {}, 0)", at(to))));
    let touches = touches.join(" AND ");
    let before = from.map_or("0".to_owned(), |from| format!("sealed <= {}", at(from)));
    let after = to.map_or("0".to_owned(), |to| format!("sealed >= {}", at(to.saturating_add(HORIZON_US))));
    let none = u64::MAX;
    let bounds = format!(
        "SELECT college, gateway,
           least(if(countIf({touches}) = 0, {none}, minIf(number, {touches})), maxIf(number, {before})) AS low,
           greatest(maxIf(number, {touches}), if(countIf({after}) = 0, {none}, minIf(number, {after}))) AS high
         FROM `{database}`.`{PROOFS}` WHERE {whose} GROUP BY college, gateway"
    );
    let columns = Tree::COLUMNS.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT DISTINCT {columns} FROM `{database}`.`{PROOFS}` AS kept
         GLOBAL INNER JOIN ({bounds}) AS bounds USING (college, gateway)
         WHERE {whose} AND number BETWEEN low AND high ORDER BY {ORDER} LIMIT {}",
        asked.most + 1
    );
    let twice = [values.clone(), values].concat();
    (sql, twice)
}

fn as_sealed(trees: &[Tree]) -> Result<Vec<Sealed>, ReadError> {
    for pair in trees.windows(2) {
        if pair[0].chain() == pair[1].chain() && pair[0].number == pair[1].number {
            return Err(ReadError::Unreadable(format!(
                "the server has two roots {} of {}",
                pair[0].number,
                pair[0].chain()
            )));
        }
    }
    let read = |tree: &Tree| serde_json::from_str(&tree.line);
    trees.iter().map(read).collect::<Result<_, _>>().map_err(|e| ReadError::BrokeOff(format!("a root: {e}")))
}

impl ClickHouse {
    /// Sends what is not there, and looks whether it is.
    async fn keep_chain(&self, chain: &ChainName, trees: Vec<Tree>) -> Result<(), StoreError> {
        let missing = self.not_there(chain, trees).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let token = format!("{chain}/proofs/{}/{}", missing[0].number, Clock::System.now().as_micros());
        self.insert_lines(PROOFS, Tree::COLUMNS, &token, &encode(Tree::COLUMNS, &missing, Tree::put)).await?;
        match self.not_there(chain, missing).await?.len() {
            0 => Ok(()),
            left => Err(StoreError::Retry(format!("{left} roots of {chain} were acknowledged and are not there"))),
        }
    }

    async fn not_there(&self, chain: &ChainName, trees: Vec<Tree>) -> Result<Vec<Tree>, StoreError> {
        let numbers = || trees.iter().map(|tree| tree.number);
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else { return Ok(trees) };
        let there = self.known(chain, &format!("number BETWEEN {first} AND {last}")).await;
        let there: HashMap<u64, String> =
            there.map_err(|e| failure::of_look(&e))?.into_iter().map(|known| (known.number, known.root)).collect();
        if let Some(other) = trees.iter().find(|tree| there.get(&tree.number).is_some_and(|root| *root != tree.root)) {
            return Err(StoreError::Stop(chain.is_another(other.number)));
        }
        Ok(trees.into_iter().filter(|tree| !there.contains_key(&tree.number)).collect())
    }

    async fn known(&self, chain: &ChainName, which: &str) -> Result<Vec<Known>, ReadError> {
        let ChainName { college, gateway, stream } = chain;
        let select = format!(
            "SELECT number, root FROM `{}`.`{PROOFS}` WHERE stream = ? AND college = ? AND gateway = ? AND {which}",
            self.0.server.database
        );
        let values = [stream.as_str(), college.as_str(), gateway.as_str()].map(Value::from).to_vec();
        all(self, &until_the_last(&select, Known::COLUMNS, "number, root", values)).await
    }

    /// The trees of a college that hold something of a UTC day.
    pub async fn roots_of_day(
        &self,
        stream: Stream,
        college: &CollegeCode,
        day: i32,
    ) -> Result<Vec<Sealed>, ReadError> {
        let (from, to) = (Timestamp::start_of_day(day).as_micros(), Timestamp::start_of_day(day + 1).as_micros());
        let columns = Tree::COLUMNS.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", ");
        let select = format!(
            "SELECT DISTINCT {columns} FROM `{}`.`{PROOFS}` WHERE stream = ? AND college = ?
             AND ifNull(last_time >= fromUnixTimestamp64Micro(toInt64({from}), 'UTC'), 0)
             AND ifNull(first_time < fromUnixTimestamp64Micro(toInt64({to}), 'UTC'), 0)",
            self.0.server.database
        );
        let values = [stream.as_str(), college.as_str()].map(Value::from).to_vec();
        let trees: Vec<Tree> = all(self, &until_the_last(&select, Tree::COLUMNS, ORDER, values)).await?;
        as_sealed(&trees)
    }

    /// Deletes the proofs of a stream's trees whose rows were all before the UTC day `before`.
    pub async fn purge_proofs(&self, plan: &Plan, stream: Stream, before: i32) -> Result<(), MigrationError> {
        let until = Timestamp::start_of_day(before).as_micros();
        let until = format!("fromUnixTimestamp64Micro(toInt64({until}), 'UTC')");
        let (table, on) = (plan.local(PROOFS), plan.on_cluster());
        self.execute(&format!(
            "ALTER TABLE {table}{on} DELETE WHERE stream = '{stream}' AND sealed < {until} AND ifNull(last_time, sealed) < {until}
             SETTINGS mutations_sync = 1"
        ))
        .await
    }
}
