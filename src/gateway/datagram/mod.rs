//! Datagrams that their clients meant for somebody else: QUIC above all.
//!
//! A datagram's story in order: [`serve`] (it comes in) → [`table`] (whose flow is it, one for each client and address
//! dialled) → [`hearing`] (the first ones, until they say what they are) → [`attempt`] (judged like a connection, its row
//! written) → refused, or [`open`]: relayed to the address judged. [`watch`] tells whether another flow begins in its place.
//!
//! QUIC that is refused is told so in its own language, upon which a browser takes TCP at once; what else is refused is
//! not answered. What waits is bounded everywhere: flows of one client and of all, datagrams of a flow, time.
//!
//! Type to read first: [`table::FlowTable`].

mod attempt;
mod hearing;
mod open;
mod table;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::detect;
use crate::listen::{DivertedDoor, Inbox};

use super::{Gateway, drain_begins};
use table::FlowTable;

/// Takes datagrams for as long as the gateway lives. While it drains no flow begins, and those that are open go on.
pub async fn serve(gateway: Arc<Gateway>, door: DivertedDoor) {
    let door = Arc::new(door);
    let mut draining = gateway.draining.subscribe();
    let mut inbox = Inbox::default();
    let mut flows = FlowTable::new(gateway.clone(), door.clone());
    loop {
        let due = flows.due();
        tokio::select! {
            received = door.receive(&mut inbox) => match received {
                Ok(datagram) => flows.take(Ends { client: datagram.client, dialled: datagram.dialled }, datagram.bytes),
                Err(error) => {
                    tracing::warn!(door = %door.local(), %error, "no datagram can be received");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = due => flows.keep_house(),
            () = drain_begins(&mut draining), if !flows.is_draining() => flows.drain(),
        }
    }
}

/// Between whom a flow is, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    pub client: SocketAddr,
    pub dialled: SocketAddr,
}

impl Ends {
    /// Says to the client, in the name of whom it dialled.
    fn say(self, door: &DivertedDoor, datagram: &[u8]) -> bool {
        door.send(datagram, self.dialled.ip(), self.client)
    }

    /// Ends a client's connection of QUIC that begins with this datagram. Says whether there was something to say.
    fn turn_down(self, door: &DivertedDoor, first: &[u8]) -> bool {
        detect::quic_refusal(first).is_some_and(|refusal| self.say(door, &refusal))
    }
}
