//! Carries the bytes of one connection both ways, and does to them what the switch says.

use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::sleep;

use super::switch::{Direction, Fault, Switch};
use super::talk::Talk;

/// Taken at once from either side.
const BUFFER_BYTES: usize = 16 * 1024;

/// What is spoken on the connections of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// Bytes.
    Any,
    /// PostgreSQL's, in which statements are recognised.
    Postgres,
}

/// The connection ends at once, for both sides.
struct Broken;

/// One connection.
struct Line<'a> {
    number: u64,
    switch: &'a Switch,
    talk: Option<Mutex<Talk>>,
}

/// Carries a connection to its end.
pub(crate) async fn carry(mut client: TcpStream, mut server: TcpStream, protocol: Protocol, switch: &Switch) {
    let talk = match protocol {
        Protocol::Any => None,
        Protocol::Postgres => Some(Mutex::new(Talk::begin())),
    };
    let line = Line { number: switch.connected(), switch, talk };
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
        let mut faults = self.switch.watch();
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
                self.switch.struck();
                faults.changed().await.map_err(|_| Broken)?;
            };
            let bytes = &buffer[..read];
            let (bytes, ends) = self.look(bytes, direction, &mut answers);
            if fault.is_some() {
                self.switch.struck();
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
            if ends {
                return Err(Broken);
            }
        }
    }

    /// Reads along, where something is understood; answers what goes on and whether the connection ends then.
    fn look(&self, bytes: &[u8], direction: Direction, answers: &mut u64) -> (Vec<u8>, bool) {
        let Some(talk) = &self.talk else { return (bytes.to_vec(), false) };
        let mut talk = talk.lock().unwrap_or_else(PoisonError::into_inner);
        match direction {
            Direction::ToServer => {
                talk.ask(bytes);
                (bytes.to_vec(), false)
            }
            Direction::ToClient => {
                let faults = self.switch.watch().borrow().clone();
                let answer = talk.answer(bytes, |act| {
                    *answers += 1;
                    faults.loses(act, self.number, *answers)
                });
                if let Some(act) = answer.lost {
                    self.switch.lost(act);
                }
                (answer.bytes, answer.ends)
            }
        }
    }
}

async fn write(to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), Broken> {
    to.write_all(bytes).await.map_err(|_| Broken)
}
