//! The memory of one `recvmmsg` call, and the one place that makes it.

use crate::control::{self, Beside, CONTROL_BYTES};
use crate::sockaddr::{self, NAME_BYTES};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr;

/// What the kernel says beside a payload.
#[derive(Debug, Clone, Copy)]
struct Note {
    name: [u8; NAME_BYTES],
    control: [u8; CONTROL_BYTES],
    name_len: usize,
    control_len: usize,
    payload_len: usize,
    truncated: bool,
}

/// A received message, taken apart.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// `None` if the sender's address could not be read.
    pub(super) from: Option<SocketAddr>,
    pub(super) truncated: bool,
    pub(super) beside: Beside,
}

/// Buffers for as many datagrams as one call takes.
#[derive(Debug)]
pub(super) struct Batch {
    payloads: Vec<u8>,
    buffer_bytes: usize,
    notes: Vec<Note>,
}

impl Batch {
    /// `count` buffers of `buffer_bytes` each; neither is zero.
    pub(super) fn new(count: usize, buffer_bytes: usize) -> Self {
        let empty = Note {
            name: [0; NAME_BYTES],
            control: [0; CONTROL_BYTES],
            name_len: 0,
            control_len: 0,
            payload_len: 0,
            truncated: false,
        };
        Self {
            // Zeroed by the allocator: pages become resident when datagrams reach them.
            payloads: vec![0; count * buffer_bytes],
            buffer_bytes,
            notes: vec![empty; count],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.notes.len()
    }

    /// Takes what is there, without waiting; returns how many messages that makes.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; otherwise what the kernel reports.
    pub(super) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        let mut vectors: Vec<libc::iovec> = Vec::with_capacity(self.notes.len());
        let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(self.notes.len());
        for payload in self.payloads.chunks_exact_mut(self.buffer_bytes) {
            vectors.push(libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() });
        }
        for (note, vector) in self.notes.iter_mut().zip(&mut vectors) {
            // SAFETY: all zeroes is a valid mmsghdr: null pointers and lengths of zero.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = note.name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
            header.msg_hdr.msg_control = note.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
            header.msg_hdr.msg_iov = ptr::from_mut(vector);
            header.msg_hdr.msg_iovlen = 1;
            headers.push(header);
        }
        // SAFETY: `headers` holds as many headers as is said, and each points to memory of `notes`,
        // `payloads` and `vectors`, disjoint and with its true size, that is borrowed mutably or
        // owned until after the call and is not touched in between.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (note, header) in self.notes.iter_mut().zip(&headers).take(received) {
            note.name_len = header.msg_hdr.msg_namelen as usize;
            note.control_len = header.msg_hdr.msg_controllen;
            note.payload_len = header.msg_len as usize;
            note.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        }
        Ok(received)
    }

    /// The first `count` messages of the last call.
    pub(super) fn messages(&self, count: usize) -> impl Iterator<Item = Message<'_>> {
        self.notes.iter().zip(self.payloads.chunks_exact(self.buffer_bytes)).take(count).map(
            |(note, payload)| Message {
                bytes: payload.get(..note.payload_len).unwrap_or(payload),
                from: note.name.get(..note.name_len).and_then(sockaddr::decode),
                truncated: note.truncated,
                beside: note.control.get(..note.control_len).map(control::read).unwrap_or_default(),
            },
        )
    }
}
