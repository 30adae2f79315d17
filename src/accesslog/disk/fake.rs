//! A disk for tests, stricter than a disk: what was not synced may vanish or tear at any 512-byte boundary, names vanish
//! until their folder is synced, a sync that failed never made its bytes durable, and every operation can fail.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, Lock, What};

/// The disk as one process sees it. Killed, the process can do nothing more; [`FakeDisk::restart`] gives the next one.
#[derive(Clone)]
pub(in crate::accesslog) struct FakeDisk {
    platter: Arc<Mutex<Platter>>,
    process: u64,
}

struct Platter {
    files: HashMap<u64, Bytes>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    folders: BTreeSet<PathBuf>,
    locks: HashMap<PathBuf, u64>,
    process: u64,
    next_file: u64,
    capacity: u64,
    faults: Faults,
    random: u64,
}

#[derive(Default)]
struct Bytes {
    bytes: Vec<u8>,
    synced: usize,
    /// A sync of them failed: no later one makes them durable.
    lost: Vec<Range<usize>>,
    room: u64,
}

/// What will fail: so many of the next operations of a kind.
#[derive(Debug, Clone, Default)]
pub(in crate::accesslog) struct Faults {
    pub writes: u32,
    pub short_writes: u32,
    pub syncs: u32,
    pub reads: u32,
}

const SECTOR: usize = 512;

fn eio() -> io::Error {
    io::Error::other("EIO")
}

fn take(fault: &mut u32) -> bool {
    let is_due = *fault > 0;
    *fault = fault.saturating_sub(1);
    is_due
}

impl FakeDisk {
    pub fn new(seed: u64) -> Self {
        let platter = Platter {
            files: HashMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            folders: BTreeSet::new(),
            locks: HashMap::new(),
            process: 0,
            next_file: 0,
            capacity: u64::MAX,
            faults: Faults::default(),
            random: seed | 1,
        };
        FakeDisk { platter: Arc::new(Mutex::new(platter)), process: 0 }
    }

    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.platter.lock().unwrap();
        if platter.process == self.process { Ok(platter) } else { Err(io::Error::other("the process is dead")) }
    }

    /// Kills the process: its locks are free and its open files are gone. What it wrote is there.
    pub fn restart(&self) -> FakeDisk {
        let mut platter = self.platter.lock().unwrap();
        platter.process += 1;
        platter.locks.clear();
        platter.faults = Faults::default();
        FakeDisk { platter: self.platter.clone(), process: platter.process }
    }

    /// Cuts the power: whatever was not synced may be gone, torn, or there.
    pub fn cut_power(&self) -> FakeDisk {
        let disk = self.restart();
        self.platter.lock().unwrap().cut_power();
        disk
    }

    pub fn fail(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.platter.lock().unwrap().faults);
    }

    /// Leaves room for `bytes` more.
    pub fn leave(&self, bytes: u64) {
        let mut platter = self.platter.lock().unwrap();
        platter.capacity = platter.used().saturating_add(bytes);
    }

    /// Changes bytes of a file behind everybody's back.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut platter = self.platter.lock().unwrap();
        let file = platter.names[path];
        let file = platter.files.get_mut(&file).unwrap();
        change(&mut file.bytes);
        file.synced = file.bytes.len();
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.platter.lock().unwrap().names.keys().cloned().collect()
    }
}

impl Platter {
    fn next_random(&mut self) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[file].room.max(self.files[file].bytes.len() as u64)).sum()
    }

    fn file(&mut self, path: &Path) -> io::Result<&mut Bytes> {
        let file = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files.get_mut(&file).unwrap())
    }

    fn cut_power(&mut self) {
        let paths: BTreeSet<PathBuf> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        for path in paths {
            let (now, durable) = (self.names.get(&path).copied(), self.durable_names.get(&path).copied());
            let kept = if now == durable || self.next_random() & 1 == 0 { durable } else { now };
            match kept {
                Some(file) => self.names.insert(path, file),
                None => self.names.remove(&path),
            };
        }
        self.durable_names = self.names.clone();
        let mut files: Vec<u64> = self.files.keys().copied().collect();
        files.sort_unstable();
        for file in files {
            let mut bytes = self.files.remove(&file).unwrap();
            self.tear(&mut bytes);
            self.files.insert(file, bytes);
        }
    }

    fn tear(&mut self, file: &mut Bytes) {
        let length = file.bytes.len();
        for at in 0..length {
            let is_lost = at >= file.synced || file.lost.iter().any(|range| range.contains(&at));
            // One fate for a sector: kept, zeroes, garbage.
            if is_lost && (at % SECTOR == 0 || at == file.synced || file.lost.iter().any(|range| range.start == at)) {
                let fate = self.next_random() % 3;
                let end = (at / SECTOR * SECTOR + SECTOR).min(length);
                for byte in at..end {
                    let is_lost = byte >= file.synced || file.lost.iter().any(|range| range.contains(&byte));
                    match fate {
                        1 if is_lost => file.bytes[byte] = 0,
                        2 if is_lost => file.bytes[byte] = self.next_random() as u8,
                        _ => {}
                    }
                }
            }
        }
        let sectors = (length - file.synced).div_ceil(SECTOR) as u64;
        let cut = file.synced + (self.next_random() % (sectors + 1)) as usize * SECTOR;
        file.bytes.truncate(cut.min(length));
        (file.synced, file.lost, file.room) = (file.bytes.len(), Vec::new(), 0);
    }
}

struct FakeFile {
    disk: FakeDisk,
    file: u64,
}

impl Disk for FakeDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.platter()?.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let platter = self.platter()?;
        if !platter.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = platter.names.keys().chain(&platter.folders).filter(|path| path.parent() == Some(folder));
        let mut names: Vec<String> =
            inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut platter = self.platter()?;
        if !platter.folders.contains(path.parent().unwrap()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let next = platter.next_file;
        let file = *platter.names.entry(path.to_owned()).or_insert(next);
        platter.files.entry(file).or_default();
        platter.next_file += u64::from(file == next);
        Ok(Arc::new(FakeFile { disk: self.clone(), file }))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(self.platter()?.file(path)?.bytes.len() as u64)
    }

    fn what(&self, path: &Path) -> What {
        let platter = self.platter.lock().unwrap();
        match (platter.names.contains_key(path), platter.folders.contains(path)) {
            (true, _) => What::File,
            (_, true) => What::Folder,
            _ => What::Nothing,
        }
    }

    fn read(&self, path: &Path, offset: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut platter = self.platter()?;
        if take(&mut platter.faults.reads) {
            return Err(eio());
        }
        let bytes = &platter.file(path)?.bytes;
        let start = (offset as usize).min(bytes.len());
        let end = start + (most as usize).min(bytes.len() - start);
        Ok(bytes[start..end].to_vec())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut platter = self.platter()?;
        let file = platter.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        platter.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.platter()?.names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.platter()?;
        if platter.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        platter.folders.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut platter = self.platter()?;
        if take(&mut platter.faults.syncs) {
            return Err(eio());
        }
        let Platter { names, durable_names, .. } = &mut *platter;
        durable_names.retain(|name, _| name.parent() != Some(path));
        let inside = names.iter().filter(|(name, _)| name.parent() == Some(path));
        durable_names.extend(inside.map(|(name, file)| (name.clone(), *file)));
        Ok(())
    }

    fn left(&self, _: &Path) -> io::Result<u64> {
        let platter = self.platter()?;
        Ok(platter.capacity.saturating_sub(platter.used()))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        drop(self.open(path)?);
        let mut platter = self.platter()?;
        if platter.locks.contains_key(path) {
            return Ok(None);
        }
        platter.locks.insert(path.to_owned(), self.process);
        Ok(Some(Box::new(Held { disk: self.clone(), path: path.to_owned() })))
    }
}

struct Held {
    disk: FakeDisk,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Ok(mut platter) = self.disk.platter() {
            platter.locks.remove(&self.path);
        }
    }
}

impl DiskFile for FakeFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut platter = self.disk.platter()?;
        if take(&mut platter.faults.writes) {
            return Err(eio());
        }
        let mut n = bytes.len();
        if take(&mut platter.faults.short_writes) {
            n = (platter.next_random() % bytes.len() as u64) as usize;
        }
        let (used, capacity) = (platter.used(), platter.capacity);
        let file = platter.files.get_mut(&self.file).unwrap();
        let holds = file.room.max(file.bytes.len() as u64);
        let room = holds - file.bytes.len() as u64 + capacity.saturating_sub(used);
        n = n.min(usize::try_from(room).unwrap_or(usize::MAX));
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.bytes.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.disk.platter()?;
        let fails = take(&mut platter.faults.syncs);
        let file = platter.files.get_mut(&self.file).unwrap();
        let unsynced = file.synced..file.bytes.len();
        file.synced = unsynced.end;
        if fails {
            file.lost.push(unsynced);
            return Err(eio());
        }
        Ok(())
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        let mut platter = self.disk.platter()?;
        let (used, capacity) = (platter.used(), platter.capacity);
        let file = platter.files.get_mut(&self.file).unwrap();
        let holds = file.room.max(file.bytes.len() as u64);
        if used - holds + length.max(holds) > capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.room = holds.max(length);
        Ok(())
    }

    fn release(&self, length: u64) -> io::Result<()> {
        self.disk.platter()?.files.get_mut(&self.file).unwrap().room = length;
        Ok(())
    }
}
