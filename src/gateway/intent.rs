//! The intents: what is about to happen stands in the journal before it does.
//!
//! No dial before both are there, that of the connection and that of the access that goes over it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::access::{Access, Flags};
use crate::accesslog::{AccessLog, AppendError};
use crate::relay::Counts;

use super::connection::ClientConnection;
use super::flows::{AccessFlow, ConnectionFlow};
use super::record::{Judgement, access_record, connection_record};
use super::way::{NoWay, Way};

/// The record of a connection that is about to be dialled, open in the journal.
pub struct ConnectionIntent {
    pub flow: ConnectionFlow,
    log: AccessLog,
    /// Of its row; 0 for a help-line, which nothing joins.
    pub sequence: u64,
}

impl ConnectionIntent {
    /// Ready when the intents are as durable as the configuration wants them before traffic.
    pub async fn is_durable(&self) -> Result<(), NoWay> {
        self.log.before_traffic().await.map_err(|error| untraceable(&error))
    }
}

/// Writes the intent of joining the client's connection with an origin's.
pub fn write_connection_intent(
    connection: &ClientConnection,
    access: &Access,
    judgement: &Judgement,
    way: &Way,
) -> Result<ConnectionIntent, NoWay> {
    let gateway = &connection.gateway;
    let origin = way.first();
    let mut record = connection_record(&gateway.log, &access.client, Some(judgement), connection.started, origin);
    record.protocol = access.target.protocol;
    if access.target.no_dns {
        record.flags.insert(Flags::NO_DNS);
    }
    let log = gateway.log.clone();
    // An access that named somebody must not lead to a help-line.
    let promised = if judgement.duties.help_line { None } else { connection.row.take_promised() };
    let number = promised.unwrap_or_else(|| log.promise_connection());
    match gateway.log.begin_promised(number, &record) {
        Ok(open) => {
            let sequence = if judgement.duties.help_line { 0 } else { open.sequence() };
            connection.row.is_written(sequence);
            let flow = gateway.connections.enter(open, record, Arc::default());
            Ok(ConnectionIntent { flow, log, sequence })
        }
        Err(error) => {
            gateway.log.pass_unwritten(&record, error).map_err(|error| untraceable(&error))?;
            connection.row.is_written(0);
            Ok(ConnectionIntent { flow: gateway.connections.untraced(Arc::default()), log, sequence: 0 })
        }
    }
}

/// Writes the intent of an access that goes over a connection which has its own.
pub fn write_access_intent(
    connection: &ClientConnection,
    access: &Access,
    judgement: &Judgement,
    sequence: u64,
    counts: Arc<Counts>,
) -> Result<AccessFlow, NoWay> {
    let gateway = &connection.gateway;
    let record = access_record(&gateway.log, access, judgement, sequence);
    match gateway.log.begin_access(&record) {
        Ok(open) => Ok(gateway.accesses.enter(open, record, counts)),
        Err(error) => {
            gateway.log.pass_unwritten(&record, error).map_err(|error| untraceable(&error))?;
            Ok(gateway.accesses.untraced(counts))
        }
    }
}

/// Said when it begins and once a minute: each refused access comes by here.
fn untraceable(error: &AppendError) -> NoWay {
    static SAID: Mutex<Option<Instant>> = Mutex::new(None);
    const AGAIN_AFTER: Duration = Duration::from_secs(60);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.is_none_or(|at| at.elapsed() >= AGAIN_AFTER) {
        *said = Some(Instant::now());
        tracing::error!(%error, "the journal takes no record: accesses are refused until it does");
    }
    NoWay::Untraceable
}
