//! Downloads one file from the hub into the cache. Bytes that arrived stay for the next attempt,
//! and the file counts as downloaded once its checksum is right.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use tercet_formats::open_own;
use ureq::Body;
use ureq::http::Response;

use super::checksum::Hasher;
use super::client::{Client, Failure, header};
use super::listing::RemoteFile;

/// The reason for a failed download.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The hub refused, or could not be reached.
    Hub(Failure),
    /// The bytes do not have the checksum that the hub promised.
    Checksum,
    /// The disk failed.
    Disk(io::Error),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal::Hub(failure)
    }
}

/// Number of attempts in a row without new bytes before giving up.
const ATTEMPTS: u32 = 5;
/// Pause after the first such attempt. It doubles each time.
const PAUSE: Duration = Duration::from_millis(100);

/// Downloads `file` from `path` of the hub to `target`.
///
/// Bytes arrive in the file `incomplete` and are not requested again. `progress` is called with the
/// number of bytes.
pub(super) fn download(
    client: &Client,
    path: &str,
    file: &RemoteFile,
    (target, incomplete): (&Path, &Path),
    progress: &mut dyn FnMut(u64),
) -> Result<(), Refusal> {
    let mut partial = Partial::open(incomplete, file).map_err(Refusal::Disk)?;
    let (mut furthest, mut in_vain, mut mismatches) = (partial.len, 0, 0);
    loop {
        let start = partial.len;
        progress(start);
        let outcome = match partial.len < file.size {
            true => partial.fetch(client, path, progress),
            false => Ok(()),
        };
        if partial.len == file.size {
            if partial.is_right() {
                return partial.publish(target).map_err(Refusal::Disk);
            }
            partial.restart().map_err(Refusal::Disk)?;
            mismatches += 1;
            // Bytes that an earlier run left may belong to another file, so a second attempt starts
            // from nothing.
            if start == 0 || mismatches > 1 {
                return Err(Refusal::Checksum);
            }
            continue;
        }
        let failure = match outcome {
            Ok(()) => Failure::Network("the connection ended early".to_owned()),
            Err(Refusal::Hub(failure)) if failure.may_pass() => failure,
            Err(refusal) => return Err(refusal),
        };
        in_vain = if partial.len > furthest { 0 } else { in_vain + 1 };
        furthest = furthest.max(partial.len);
        if in_vain == ATTEMPTS {
            return Err(Refusal::Hub(failure));
        }
        sleep(PAUSE * 2u32.pow(in_vain));
    }
}

impl Failure {
    /// Returns true if another attempt may succeed.
    fn may_pass(&self) -> bool {
        matches!(self, Failure::Network(_) | Failure::Status(408 | 416 | 429 | 500.., _))
    }
}

/// The beginning of a file, while it downloads.
struct Partial<'a> {
    expected: &'a RemoteFile,
    path: &'a Path,
    file: File,
    len: u64,
    hasher: Hasher,
}

impl<'a> Partial<'a> {
    /// Opens the bytes that an earlier run left at `path`, or starts with none.
    fn open(path: &'a Path, expected: &'a RemoteFile) -> io::Result<Self> {
        let file = open_own(path, File::options().read(true).write(true).create(true).truncate(false))?;
        let hasher = expected.checksum.hasher(expected.size);
        let mut partial = Partial { expected, path, file, len: 0, hasher };
        if partial.file.metadata()?.len() > expected.size {
            partial.restart()?;
        }
        let (mut left, mut buffer) = (partial.file.metadata()?.len(), vec![0; 1 << 20]);
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = partial.file.read(&mut buffer[..most])?;
            if n == 0 {
                break;
            }
            partial.hasher.add(&buffer[..n]);
            (partial.len, left) = (partial.len + n as u64, left - n as u64);
        }
        Ok(partial)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.len, self.hasher) = (0, self.expected.checksum.hasher(self.expected.size));
        Ok(())
    }

    /// Appends the bytes of one request.
    fn fetch(&mut self, client: &Client, path: &str, progress: &mut dyn FnMut(u64)) -> Result<(), Refusal> {
        let response = client.get(path, self.len).map_err(Refusal::Hub)?;
        if self.len > 0 && !continues(&response, self.len) {
            self.restart().map_err(Refusal::Disk)?;
        }
        let left = self.expected.size - self.len;
        if let Some(bytes) =
            header(response.headers(), "content-length").parse().ok().filter(|&n: &u64| n != left)
        {
            let problem = format!("the server sends {bytes} bytes, and the list of files tells {left}");
            return Err(Refusal::Hub(Failure::Hopeless(problem)));
        }
        let mut body = response.into_body().into_reader().take(left);
        client.read(&mut body, |bytes| {
            self.file.write_all(bytes).map_err(Refusal::Disk)?;
            self.hasher.add(bytes);
            self.len += bytes.len() as u64;
            progress(self.len);
            Ok(true)
        })
    }

    fn is_right(&mut self) -> bool {
        let fresh = self.expected.checksum.hasher(self.expected.size);
        std::mem::replace(&mut self.hasher, fresh).finish() == self.expected.checksum.digits()
    }

    fn publish(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(self.path, target)
    }
}

/// Returns true if the response starts at byte `start`. A server may ignore the requested range and
/// send all bytes.
fn continues(response: &Response<Body>, start: u64) -> bool {
    let range = header(response.headers(), "content-range");
    let from = range.strip_prefix("bytes ").and_then(|range| range.split('-').next());
    response.status().as_u16() == 206 && from.and_then(|from| from.parse().ok()) == Some(start)
}
