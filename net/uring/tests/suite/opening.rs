//! Choosing a driver, falling back, and saying what went wrong.

use crate::common::{V4, peer, receive_count, small};
use centauri_uring::{
    DriverChoice, DriverConfig, DriverKind, OpenError, RingFeatures, RingUnavailable, open, open_with_probe,
    probe_io_uring,
};
use std::net::SocketAddr;

fn choose(choice: DriverChoice) -> DriverConfig {
    DriverConfig { choice, ..small() }
}

fn forbidden() -> Result<RingFeatures, RingUnavailable> {
    Err(RingUnavailable {
        step: "creating a ring",
        reason: "Operation not permitted (os error 1)".to_owned(),
    })
}

fn must_not_be_asked() -> Result<RingFeatures, RingUnavailable> {
    panic!("epoll was asked for, yet io_uring was probed");
}

fn local() -> SocketAddr {
    V4.parse().unwrap()
}

#[test]
fn auto_falls_back_to_epoll_where_io_uring_is_forbidden() {
    let mut driver = open_with_probe(local(), &choose(DriverChoice::Auto), &forbidden).unwrap();
    assert_eq!(driver.kind(), DriverKind::Epoll);
    peer(V4).send_to(b"hello", driver.local_addr()).unwrap();
    assert_eq!(receive_count(&mut *driver, 1)[0].bytes, b"hello");
}

#[test]
fn io_uring_or_nothing_is_an_error_where_it_is_forbidden() {
    let error = open_with_probe(local(), &choose(DriverChoice::IoUring), &forbidden).unwrap_err();
    assert!(matches!(error, OpenError::Ring { .. }));
    assert_eq!(
        error.to_string(),
        "127.0.0.1:0: io_uring is not usable here: creating a ring: \
         Operation not permitted (os error 1); choose auto or epoll"
    );
}

#[test]
fn epoll_does_not_probe() {
    let config = choose(DriverChoice::Epoll);
    let driver = open_with_probe(local(), &config, &must_not_be_asked).unwrap();
    assert_eq!(driver.kind(), DriverKind::Epoll);
}

#[test]
fn auto_takes_io_uring_where_it_works() {
    let driver = open(local(), &choose(DriverChoice::Auto)).unwrap();
    match probe_io_uring() {
        Ok(_) => assert_eq!(driver.kind(), DriverKind::IoUring),
        Err(cause) => {
            println!("skipped: {cause}");
            assert_eq!(driver.kind(), DriverKind::Epoll);
        }
    }
}

#[test]
fn a_port_in_use_is_named() {
    let holder = peer(V4);
    let addr = holder.local_addr().unwrap();
    for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
        let error = open(addr, &choose(choice)).unwrap_err();
        assert!(matches!(error, OpenError::Bind { .. }));
        assert_eq!(error.to_string(), format!("{addr}: address already in use"));
    }
}

#[test]
fn an_address_of_another_machine_is_named() {
    // 192.0.2.0/24 is set aside for documentation.
    let addr: SocketAddr = "192.0.2.1:7700".parse().unwrap();
    let error = open(addr, &small()).unwrap_err();
    assert_eq!(error.to_string(), "192.0.2.1:7700: not an address of this machine");
}

#[test]
fn a_bad_configuration_is_refused_before_anything_is_opened() {
    let holder = peer(V4);
    let addr = holder.local_addr().unwrap();
    let config = DriverConfig { buffers: 3, ..small() };
    let error = open(addr, &config).unwrap_err();
    assert_eq!(error.to_string(), format!("{addr}: buffers is 3: expected a power of two from 2 to 32768"));
}
