//! A parent proxy: the way out where the school's network has no other.
//!
//! Requests in clear go to it in absolute form, tunnels through its CONNECT. It resolves the names, so that an address is
//! only known here where the client asked for one. Its credentials are ours and go to it alone.
//!
//! Type to read first: [`Parent`].

mod credentials;
mod tunnel;

use std::time::Duration;

use ::http::HeaderValue;

use super::moment::Moment;
use crate::access::Host;
use crate::config::{self, Fallback};

pub use credentials::CredentialsError;
pub use tunnel::TunnelError;

/// A parent proxy that was away is asked again after this time: a restart takes about as long.
const AWAY: Duration = Duration::from_secs(30);
/// Somebody must act; saying it once a minute is enough.
const ALARM_AGAIN: Duration = Duration::from_secs(60);

/// The parent proxy of a configuration in force, and how it fared lately.
#[derive(Debug)]
pub struct Parent {
    config: config::Parent,
    authorization: Option<HeaderValue>,
    away: Moment,
    denied: Moment,
}

impl Parent {
    /// Reads the credentials.
    pub fn open(config: &config::Parent) -> Result<Parent, CredentialsError> {
        let authorization = config.credentials_file.as_deref().map(credentials::read).transpose()?;
        Ok(Parent { config: config.clone(), authorization, away: Moment::default(), denied: Moment::default() })
    }

    pub fn host(&self) -> &Host {
        &self.config.host
    }

    pub fn port(&self) -> u16 {
        self.config.port
    }

    /// Whether a host is reached through it.
    pub fn serves(&self, host: &Host) -> bool {
        !self.config.no_proxy.covers(host)
    }

    /// `Proxy-Authorization` for it, marked as a secret.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Whether what it cannot carry now goes to the origins directly.
    pub fn may_be_passed_by(&self) -> bool {
        self.config.fallback == Fallback::Direct
    }

    /// Whether it could not be reached a moment ago.
    pub fn is_away(&self) -> bool {
        self.away.is_within(AWAY)
    }

    pub fn is_back(&self) {
        self.away.forget();
    }

    /// It cannot be reached: an alarm, and not another one while that lasts.
    pub fn cannot_be_reached(&self, error: &dyn std::fmt::Display) {
        if self.away.mark(AWAY) {
            let then = match self.config.fallback {
                Fallback::Refuse => "accesses fail until it is back (`[parent] fallback = \"refuse\"`)",
                Fallback::Direct => "accesses pass without it (`[parent] fallback = \"direct\"`)",
            };
            tracing::error!(parent = %self.name(), %error, "the parent proxy cannot be reached: {then}");
        }
    }

    /// It wants credentials, or others: only the operator can mend that.
    pub fn denies_us(&self) {
        if self.denied.mark(ALARM_AGAIN) {
            let cure = match self.config.credentials_file {
                None => "set `[parent] credentials_file`",
                Some(_) => "correct the file that `[parent] credentials_file` names",
            };
            tracing::error!(parent = %self.name(), "the parent proxy does not accept us (407): {cure}, then reload");
        }
    }

    /// Its address is one of our own doors.
    pub fn is_ourselves(&self) {
        if self.denied.mark(ALARM_AGAIN) {
            tracing::error!(parent = %self.name(), "the parent proxy is this gateway itself: correct `[parent] url`");
        }
    }

    fn name(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }
}
