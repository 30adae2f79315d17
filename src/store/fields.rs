//! The fields of both records with their types, once, for the stores that make columns of them.
//!
//! `access_fields!(m)` expands to `m!(AccessRow, AccessRecord { connection: u64, … });`, in the order of the columns.

macro_rules! access_fields {
    ($make:ident) => {
        $make!(AccessRow, AccessRecord {
            connection: u64,
            person: Option<Pseudonym>,
            identity_source: IdentitySource,
            identity_strength: IdentityStrength,
            client_address: Option<IpAddr>,
            start: Timestamp,
            end: Timestamp,
            method: Arc<str>,
            host: Arc<str>,
            host_source: HostSource,
            port: u16,
            protocol: Protocol,
            path: Arc<str>,
            category: Arc<str>,
            action: ActionTaken,
            rule: Arc<str>,
            list: Arc<str>,
            entry: Arc<str>,
            rules_version: Arc<str>,
            status: Option<u16>,
            bytes_up: u64,
            bytes_down: u64,
            finding: Arc<str>,
            visit: Visit,
            ending: Ending,
            asked: Arc<str>,
            earlier_rule: Arc<str>,
            reference: Option<Reference>,
            count: u32,
            flags: Flags,
        });
    };
}

macro_rules! connection_fields {
    ($make:ident) => {
        $make!(ConnectionRow, ConnectionRecord {
            start: Timestamp,
            end: Timestamp,
            person: Option<Pseudonym>,
            identity_source: IdentitySource,
            identity_strength: IdentityStrength,
            device: Arc<str>,
            client_address: Option<IpAddr>,
            client_port: Option<u16>,
            outward_address: Option<IpAddr>,
            outward_port: Option<u16>,
            origin_address: Option<IpAddr>,
            origin_port: Option<u16>,
            protocol: Protocol,
            bytes_up: u64,
            bytes_down: u64,
            action: ActionTaken,
            ending: Ending,
            count: u32,
            flags: Flags,
        });
    };
}

/// The types of the fields that are one word each, with what reads the word: `word_types!(m)` expands to `m!(Type: parser, …);`.
macro_rules! word_types {
    ($make:ident) => {
        $make!(
            CollegeCode: CollegeCode::parse,
            GatewayName: GatewayName::parse,
            IdentitySource: str::parse,
            IdentityStrength: str::parse,
            HostSource: str::parse,
            Protocol: str::parse,
            Visit: str::parse,
            ActionTaken: str::parse,
            Ending: str::parse,
        );
    };
}
pub(super) use {access_fields, connection_fields, word_types};
