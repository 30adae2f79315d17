//! ClickHouse in this process: the C interface of `libchdb.so`, loaded while running.
//!
//! A connection takes one statement at a time. Settings are `SET`s of the connection, so a request has one of its own.

#![expect(unsafe_code, reason = "a C library, loaded by name")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::OnceLock;

use libloading::Library;

type Handle = *mut c_void;

/// The functions of `chdb.h` that are used here.
struct Api {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Handle,
    close: unsafe extern "C" fn(*mut Handle),
    query: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    stream_query: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    fetch: unsafe extern "C" fn(Handle, Handle) -> Handle,
    cancel_query: unsafe extern "C" fn(Handle, Handle),
    destroy_result: unsafe extern "C" fn(Handle),
    buffer: unsafe extern "C" fn(Handle) -> *const u8,
    length: unsafe extern "C" fn(Handle) -> usize,
    error: unsafe extern "C" fn(Handle) -> *const c_char,
    insert: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    insert_error: unsafe extern "C" fn(Handle) -> *const c_char,
    append: unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
    done: unsafe extern "C" fn(Handle) -> Handle,
    cancel_insert: unsafe extern "C" fn(Handle),
    destroy_insert: unsafe extern "C" fn(Handle),
}

static API: OnceLock<Api> = OnceLock::new();

/// Loads the library; once, before the first [`Connection`].
pub fn load(library: &Path) {
    // SAFETY: the library's own initialisers run; it is the pinned one that `tests/run` installed.
    let library = unsafe { Library::new(library) }.unwrap_or_else(|e| panic!("{}: {e}", library.display()));
    let library: &'static Library = Box::leak(Box::new(library));
    macro_rules! symbol {
        ($name:literal) => {
            // SAFETY: the types of the fields are those of the declarations in `chdb.h`.
            *unsafe { library.get($name) }.unwrap_or_else(|e| panic!("{e}"))
        };
    }
    let api = Api {
        connect: symbol!(b"chdb_connect\0"),
        close: symbol!(b"chdb_close_conn\0"),
        query: symbol!(b"chdb_query_n\0"),
        stream_query: symbol!(b"chdb_stream_query_n\0"),
        fetch: symbol!(b"chdb_stream_fetch_result\0"),
        cancel_query: symbol!(b"chdb_stream_cancel_query\0"),
        destroy_result: symbol!(b"chdb_destroy_query_result\0"),
        buffer: symbol!(b"chdb_result_buffer\0"),
        length: symbol!(b"chdb_result_length\0"),
        error: symbol!(b"chdb_result_error\0"),
        insert: symbol!(b"chdb_stream_insert_n\0"),
        insert_error: symbol!(b"chdb_stream_insert_error\0"),
        append: symbol!(b"chdb_stream_append\0"),
        done: symbol!(b"chdb_stream_done\0"),
        cancel_insert: symbol!(b"chdb_stream_cancel_insert\0"),
        destroy_insert: symbol!(b"chdb_destroy_insert_stream\0"),
    };
    assert!(API.set(api).is_ok(), "loaded twice");
}

fn api() -> &'static Api {
    API.get().expect("load() came first")
}

fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the library gives a C string that lives as long as its result, and it is copied here.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}

/// One session of the engine on a data directory.
pub struct Connection(*mut Handle);

// SAFETY: the library allows any thread to use a connection, one at a time; `&mut self` sees to that.
unsafe impl Send for Connection {}

impl Connection {
    pub fn open(directory: &Path) -> Result<Self, String> {
        let mut words: Vec<CString> = vec![c"clickhouse".to_owned()];
        words.push(CString::new(format!("--path={}", directory.display())).expect("no NUL in a path"));
        let mut words: Vec<*mut c_char> = words.into_iter().map(CString::into_raw).collect();
        // SAFETY: as `main` gets them; the words live on (a few bytes a connection).
        let connection = unsafe { (api().connect)(words.len() as c_int, words.as_mut_ptr()) };
        if connection.is_null() { Err("the engine gives no connection".to_owned()) } else { Ok(Connection(connection)) }
    }

    fn handle(&self) -> Handle {
        // SAFETY: not null, and open until dropped.
        unsafe { *self.0 }
    }

    /// Runs a statement to its end and gives the whole answer.
    pub fn query(&mut self, sql: &str, format: &str) -> Result<Vec<u8>, String> {
        let (sql, format) = (sql.as_bytes(), format.as_bytes());
        // SAFETY: pointers and lengths of living slices.
        let result = unsafe {
            (api().query)(self.handle(), sql.as_ptr().cast(), sql.len(), format.as_ptr().cast(), format.len())
        };
        Answer(result).bytes()
    }

    /// Runs a SELECT and hands on its answer in pieces; stops when `piece` says so.
    pub fn select(&mut self, sql: &str, format: &str, mut piece: impl FnMut(Vec<u8>) -> bool) -> Result<(), String> {
        let (sql, format) = (sql.as_bytes(), format.as_bytes());
        // SAFETY: pointers and lengths of living slices.
        let stream = Answer(unsafe {
            (api().stream_query)(self.handle(), sql.as_ptr().cast(), sql.len(), format.as_ptr().cast(), format.len())
        });
        stream.error()?;
        loop {
            // SAFETY: the stream is of this connection.
            let bytes = Answer(unsafe { (api().fetch)(self.handle(), stream.0) }).bytes()?;
            if bytes.is_empty() {
                return Ok(());
            }
            if !piece(bytes) {
                // SAFETY: as above.
                unsafe { (api().cancel_query)(self.handle(), stream.0) };
                return Ok(());
            }
        }
    }

    /// Begins an INSERT that takes its rows in pieces.
    pub fn insert(&mut self, sql: &str, format: &str) -> Result<Insert<'_>, String> {
        let (sql, format) = (sql.as_bytes(), format.as_bytes());
        // SAFETY: pointers and lengths of living slices.
        let stream = unsafe {
            (api().insert)(self.handle(), sql.as_ptr().cast(), sql.len(), format.as_ptr().cast(), format.len())
        };
        let insert = Insert { stream, ended: false, _connection: self };
        insert.error()?;
        Ok(insert)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by `chdb_connect`, closed once.
        unsafe { (api().close)(self.0) };
    }
}

/// What the library gave, to be given back.
struct Answer(Handle);

impl Answer {
    fn error(&self) -> Result<(), String> {
        if self.0.is_null() {
            return Err("Code: 999. the engine gives no answer".to_owned());
        }
        // SAFETY: a living result.
        text(unsafe { (api().error)(self.0) }).map_or(Ok(()), Err)
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        self.error()?;
        // SAFETY: a living result; buffer and length belong together.
        let (buffer, length) = unsafe { ((api().buffer)(self.0), (api().length)(self.0)) };
        if buffer.is_null() || length == 0 {
            return Ok(Vec::new());
        }
        // SAFETY: as above; copied before the result goes.
        Ok(unsafe { std::slice::from_raw_parts(buffer, length) }.to_vec())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: given back once.
            unsafe { (api().destroy_result)(self.0) };
        }
    }
}

/// An INSERT on its way; dropped, nothing of it is stored.
pub struct Insert<'a> {
    stream: Handle,
    ended: bool,
    _connection: &'a mut Connection,
}

impl Insert<'_> {
    fn error(&self) -> Result<(), String> {
        // SAFETY: a living stream, never null.
        text(unsafe { (api().insert_error)(self.stream) }).map_or(Ok(()), Err)
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        // SAFETY: pointer and length of a living slice, which the library copies.
        if unsafe { (api().append)(self.stream, bytes.as_ptr().cast(), bytes.len()) } == 0 {
            return Ok(());
        }
        self.error()?;
        Err("Code: 999. the engine takes no more rows".to_owned())
    }

    pub fn end(mut self) -> Result<(), String> {
        self.ended = true;
        // SAFETY: a living stream, ended once.
        Answer(unsafe { (api().done)(self.stream) }).error()
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: a living stream; cancelled unless it was ended, then given back.
        unsafe {
            if !self.ended {
                (api().cancel_insert)(self.stream);
            }
            (api().destroy_insert)(self.stream);
        }
    }
}
