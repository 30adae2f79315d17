//! How an access or a connection ended.

use super::text_enum::text_enum;

text_enum! {
    /// How it ended.
    pub enum Ending {
        /// Both sides finished what they had to say.
        Complete = "complete",
        /// We answered instead of an origin: a refusal, an error, a page of our own.
        Answered = "answered",
        /// Still open: this row is one slice of it and the next has the next slice number.
        Continues = "continues",
        /// The client left before the end.
        ClientClosed = "client-closed",
        /// The origin broke off before the end of what it had announced.
        OriginClosed = "origin-closed",
        /// The name did not resolve, or no address of it could be reached.
        OriginUnreachable = "origin-unreachable",
        /// What the origin said is not the protocol.
        OriginInvalid = "origin-invalid",
        /// What the client said is not the protocol.
        ClientInvalid = "client-invalid",
        /// A limit of time ran out.
        TimedOut = "timed-out",
        /// A limit of size or number was exceeded.
        OverLimit = "over-limit",
        /// We ended an open flow: new rules did, or what was found in it.
        Cut = "cut",
        /// The gateway was drained.
        Drained = "drained",
        /// The gateway died while it was open; what moved after the last slice is not known.
        Interrupted = "interrupted",
        /// A fault of our own.
        Failed = "failed",
    }
}

/// What happened after the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status that the client saw; `None` where no HTTP answer was given.
    pub status: Option<u16>,
    /// Content bytes from the client towards the origin.
    pub bytes_up: u64,
    /// Content bytes towards the client.
    pub bytes_down: u64,
    /// A virus' signature or a content verdict.
    pub finding: Option<String>,
    pub ending: Ending,
}

impl Outcome {
    /// We answered ourselves.
    pub fn answered(status: u16) -> Self {
        Outcome { status: Some(status), bytes_up: 0, bytes_down: 0, finding: None, ending: Ending::Answered }
    }

    /// It ended this way before anything moved.
    pub fn ended(ending: Ending) -> Self {
        Outcome { status: None, bytes_up: 0, bytes_down: 0, finding: None, ending }
    }
}
