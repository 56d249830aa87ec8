//! Giving memory back, so that an idle agent stays small.

/// Makes the allocator return large blocks to the system as soon as they are freed; call it once
/// at the start of the process.
///
/// One yescrypt hash needs 16 MiB at the usual cost. After the first such block, glibc would move
/// its threshold up and keep later ones in the heap; a threshold that was set stays (mallopt(3)).
/// musl always maps large blocks separately, so there is nothing to do.
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the allocator's settings have no safe interface")]
    // SAFETY: mallopt takes two integers, touches no memory of ours and is called at the start.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
    }
}

/// Bytes from which on a block is mapped on its own.
#[cfg(target_env = "gnu")]
const LARGE_BLOCK: libc::c_int = 1 << 20;
