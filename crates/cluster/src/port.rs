//! A free loopback port for the server.
//!
//! Between the choice here and the server's own bind another program may take the port; the
//! server then fails, and the caller chooses again.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The preferred port if it is free, else any free one.
pub(crate) fn choose(preferred: Option<u16>) -> io::Result<u16> {
    match preferred {
        Some(port) if bind(port).is_ok() => Ok(port),
        Some(_) | None => bind(0),
    }
}

fn bind(port: u16) -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_a_free_one_kept() -> io::Result<()> {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = taken.local_addr()?.port();
        assert_ne!(choose(Some(port))?, port);
        drop(taken);
        assert_eq!(choose(Some(port))?, port);
        Ok(())
    }
}
