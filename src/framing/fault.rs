//! What was wrong with a request's bytes.

/// The first thing that was wrong; nothing after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    #[error("these bytes are no HTTP request")]
    NotHttp,
    #[error("more than two empty lines before a request")]
    EmptyLines,
    #[error("the connection ended within a request's head")]
    Incomplete,
    #[error("no complete head within the limit of time")]
    TooSlow,
    #[error("the head is larger than the limit")]
    HeadTooLarge,
    #[error("the request's target is longer than the limit")]
    TargetTooLong,
    #[error("more fields than the limit")]
    TooManyFields,
    #[error("a line ends in LF without CR (RFC 9112 §2.2)")]
    BareLf,
    #[error("CR stands elsewhere than before LF (RFC 9112 §2.2)")]
    BareCr,
    #[error("the request line is not `method target version` (RFC 9112 §3)")]
    RequestLine,
    #[error("the version is none that this gateway speaks (RFC 9112 §2.3)")]
    Version,
    #[error("the request's target is no target (RFC 9112 §3.2)")]
    Target,
    #[error("a line continues the one before it (RFC 9112 §5.2)")]
    ObsFold,
    #[error("a field's name is no token followed by a colon (RFC 9112 §5.1)")]
    FieldName,
    #[error("an underscore poses as a hyphen in the name of a field that matters")]
    Underscore,
    #[error("a field's value holds a control byte (RFC 9110 §5.5)")]
    FieldValue,
    #[error("no `Host` (RFC 9112 §3.2)")]
    NoHost,
    #[error("several `Host` (RFC 9112 §3.2)")]
    SeveralHosts,
    #[error("a length that is not plain digits (RFC 9110 §8.6)")]
    Length,
    #[error("several `Content-Length` (RFC 9112 §6.3)")]
    SeveralLengths,
    #[error("`Content-Length` beside `Transfer-Encoding` (RFC 9112 §6.3)")]
    LengthAndCoding,
    #[error("`Transfer-Encoding` is not just `chunked` (RFC 9112 §6.1)")]
    Coding,
    #[error("`Transfer-Encoding` in HTTP/1.0 (RFC 9112 §6.1)")]
    CodingInHttp10,
    #[error("a body where none has a meaning (RFC 9110 §9.3.6, §9.3.8)")]
    BodyWithoutMeaning,
    #[error("an expectation other than `100-continue` (RFC 9110 §10.1.1)")]
    Expectation,
    #[error("a chunk's size is not plain hexadecimal digits (RFC 9112 §7.1)")]
    ChunkSize,
    #[error("a chunk's extension is malformed or longer than the limit (RFC 9112 §7.1.1)")]
    ChunkExtension,
    #[error("a chunk does not end where its size says (RFC 9112 §7.1)")]
    ChunkEnd,
    #[error("a trailer is malformed, too large, or one that frames or routes (RFC 9110 §6.5.1)")]
    Trailer,
}
