//! Carries the bytes of one connection both ways, and does to them what the switch says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::sleep;

use super::Way;
use super::exchange::Exchange;
use super::switch::{Direction, Fault};
use super::talk::Talk;
use super::trap::{Point, Sprung};

/// Taken at once from either side.
const BUFFER_BYTES: usize = 16 * 1024;

/// What is spoken on the connections of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// PostgreSQL's, in which statements are recognised.
    Postgres,
    /// HTTP, in which requests and answers are.
    Http,
}

/// The connection ends at once, for both sides.
struct Broken;

/// What understands what is spoken.
enum Ear {
    Postgres(Box<Mutex<Talk>>),
    Http(Box<Mutex<Exchange>>),
}

/// One connection.
struct Line<'a> {
    number: u64,
    way: &'a Way,
    ear: Ear,
    /// Caught at an answer that is under way.
    sprung: Mutex<Option<Sprung>>,
    /// Caught: nothing goes through any more.
    is_held: AtomicBool,
}

/// What goes on of some bytes.
#[derive(Default)]
struct Looked {
    bytes: Vec<u8>,
    /// The connection ends then.
    ends: bool,
    /// The connection is caught then, with what was said on it.
    caught: Option<(Sprung, Vec<u8>)>,
}

/// Carries a connection to its end.
pub(crate) async fn carry(mut client: TcpStream, mut server: TcpStream, protocol: Protocol, way: &Way) {
    let ear = match protocol {
        Protocol::Postgres => Ear::Postgres(Box::new(Mutex::new(Talk::begin()))),
        Protocol::Http => Ear::Http(Box::default()),
    };
    let number = way.switch.connected();
    let line = Line { number, way, ear, sprung: Mutex::new(None), is_held: AtomicBool::new(false) };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = line.pump(from_client, to_server, Direction::ToServer);
    let back = line.pump(from_server, to_client, Direction::ToClient);
    if tokio::try_join!(there, back).is_err() {
        // The peer may be gone already: there is nothing to reset then.
        drop((client.set_zero_linger(), server.set_zero_linger()));
    }
}

impl Line<'_> {
    async fn pump(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, direction: Direction) -> Result<(), Broken> {
        let mut faults = self.way.switch.watch();
        let mut buffer = vec![0; BUFFER_BYTES];
        let (mut passed, mut has_swallowed, mut answers) = (0, false, 0);
        loop {
            let read = from.read(&mut buffer).await.map_err(|_| Broken)?;
            if read == 0 {
                // It is closed already, or closes now: the same to the other side.
                drop(to.shutdown().await);
                return Ok(());
            }
            let fault = loop {
                let fault = faults.borrow_and_update().of(self.number, direction);
                if fault != Some(Fault::Hole) {
                    break fault;
                }
                self.way.switch.struck();
                faults.changed().await.map_err(|_| Broken)?;
            };
            if self.is_held.load(Ordering::Acquire) {
                continue;
            }
            let Looked { bytes, ends, caught } = self.look(&buffer[..read], direction, &mut answers);
            if fault.is_some() {
                self.way.switch.struck();
            }
            match fault {
                None | Some(Fault::Hole) if has_swallowed => return Err(Broken),
                None | Some(Fault::Hole) => write(&mut to, &bytes).await?,
                Some(Fault::Latency(pause)) => {
                    sleep(pause).await;
                    write(&mut to, &bytes).await?;
                }
                Some(Fault::CutAfter(most)) => {
                    let rest = most.saturating_sub(passed);
                    write(&mut to, &bytes[..rest.min(bytes.len())]).await?;
                    if bytes.len() >= rest {
                        return Err(Broken);
                    }
                }
                Some(Fault::Swallow) => has_swallowed = true,
                Some(Fault::HalfClose) => {
                    drop(to.shutdown().await);
                    while from.read(&mut buffer).await.map_err(|_| Broken)? > 0 {}
                    return Ok(());
                }
                Some(Fault::Drip(pause)) => {
                    for byte in &bytes {
                        write(&mut to, &[*byte]).await?;
                        sleep(pause).await;
                    }
                }
            }
            passed += bytes.len();
            if let Some((sprung, seen)) = caught {
                sprung.tell(self.way.replica, seen);
            }
            if ends {
                return Err(Broken);
            }
        }
    }

    /// Reads along, where something is understood.
    fn look(&self, bytes: &[u8], direction: Direction, answers: &mut u64) -> Looked {
        let looked = match (&self.ear, direction) {
            (Ear::Postgres(talk), Direction::ToServer) => self.asked(&mut lock(talk), bytes),
            (Ear::Postgres(talk), Direction::ToClient) => self.answered(&mut lock(talk), bytes, answers),
            (Ear::Http(exchange), Direction::ToServer) => lock(exchange).ask(bytes, &self.way.trap).into(),
            (Ear::Http(exchange), Direction::ToClient) => lock(exchange).answer(bytes, &self.way.trap).into(),
        };
        if looked.caught.is_some() {
            self.is_held.store(true, Ordering::Release);
        }
        looked
    }

    /// What goes on of a statement.
    fn asked(&self, talk: &mut Talk, bytes: &[u8]) -> Looked {
        let mut acts = talk.ask(bytes).into_iter();
        match acts.find_map(|act| self.way.trap.takes(Point::Asked(act))) {
            Some(sprung) => Looked { caught: Some((sprung, talk.seen())), ..Looked::default() },
            None => Looked { bytes: bytes.to_vec(), ..Looked::default() },
        }
    }

    /// What goes on of an answer to a statement.
    fn answered(&self, talk: &mut Talk, bytes: &[u8], answers: &mut u64) -> Looked {
        let faults = self.way.switch.watch().borrow().clone();
        let mut held = lock(&self.sprung);
        let passed = talk.answer(bytes, |act| {
            *answers += 1;
            *held = self.way.trap.takes(Point::Committed(act));
            held.is_some() || faults.loses(act, self.number, *answers)
        });
        if passed.ends {
            // One that failed was not done, one without rows is at no message's point: who waits hears that it will not come.
            let caught = held.take().filter(|_| passed.has_lost_rows).map(|sprung| (sprung, passed.seen));
            if let Some(act) = passed.lost.filter(|_| caught.is_none()) {
                self.way.switch.lost(act);
            }
            return Looked { bytes: passed.bytes, ends: caught.is_none(), caught };
        }
        let told = passed.told.into_iter().find_map(|act| self.way.trap.takes(Point::Told(act)));
        Looked { bytes: passed.bytes, ends: false, caught: told.map(|sprung| (sprung, passed.seen)) }
    }
}

impl From<super::exchange::Passing> for Looked {
    fn from(passing: super::exchange::Passing) -> Self {
        Self { bytes: passing.bytes, ends: false, caught: passing.caught }
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), Broken> {
    to.write_all(bytes).await.map_err(|_| Broken)
}
