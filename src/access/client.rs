//! Who tries: a device's address, perhaps a person, and how we know.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text_enum::{as_text, text_enum};

/// A person as the school's directory names them. Never written to the access log: see [`Pseudonym`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PersonName(Arc<str>);

/// A group of the policy: pupils, teachers, staff…
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupName(Arc<str>);

macro_rules! plain_name {
    ($name:ident) => {
        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                $name(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, shared.
            pub fn to_arc(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }
    };
}
pub(super) use plain_name;

plain_name!(PersonName);
plain_name!(GroupName);

/// A person's name does not appear in a diagnostic by accident.
impl std::fmt::Debug for PersonName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonName(…)")
    }
}

/// A person as the log keeps them: the first 128 bits of HMAC-SHA-256(day key, person). Without the day key, which is
/// sealed apart, it names nobody; within one day key it is the same for the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym(pub [u8; 16]);

impl std::fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Pseudonym {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no pseudonym: 32 hexadecimal digits");
        if text.len() != 32 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Pseudonym(bytes))
    }
}

as_text!(Pseudonym);

text_enum! {
    /// How we know who the client is.
    pub enum IdentitySource {
        /// Nobody told us: an address only.
        Nothing = "none",
        /// `people.csv`: an address given to a person by the school.
        AddressMap = "address-map",
        Dhcp = "dhcp",
        Radius = "radius",
        ProxyBasic = "proxy-basic",
        ProxyNegotiate = "proxy-negotiate",
        Portal = "portal",
    }
}

text_enum! {
    /// How much the identity is worth to an investigator.
    pub enum IdentityStrength {
        /// No person at all.
        Nobody = "none",
        /// Whoever held the device at that address.
        Weak = "weak",
        /// The device or the network vouched for the person.
        Medium = "medium",
        /// The person authenticated for this access.
        Strong = "strong",
    }
}

/// Who tries. There always is one, perhaps a weak one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    pub port: u16,
    pub person: Option<PersonName>,
    pub groups: Vec<GroupName>,
    /// The device's own identifier where a source gave one (never a MAC address as a person's identity).
    pub device: Option<Arc<str>>,
    pub source: IdentitySource,
    pub strength: IdentityStrength,
}

impl Client {
    /// A client of whom only the address is known.
    pub fn unknown(address: IpAddr, port: u16) -> Self {
        Client {
            address: super::host::canonical_address(address),
            port,
            person: None,
            groups: Vec::new(),
            device: None,
            source: IdentitySource::Nothing,
            strength: IdentityStrength::Nobody,
        }
    }
}
