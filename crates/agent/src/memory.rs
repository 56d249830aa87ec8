//! The process's memory: given back, so that an idle agent stays small, and never written to a disk
//! by a crash.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dump of this process, and no other user may attach to it: a crash while a password is in
/// memory must not put it on a disk. Call it at the start, before anything secret is read.
///
/// Each of the two helps without the other: the limit does not hold where the kernel hands dumps to
/// a program (core(5)), the other not where an administrator allows dumps of such processes too.
pub fn keep_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for kept in
        [set_dumpable_behavior(DumpableBehavior::NotDumpable), setrlimit(Resource::Core, none)]
    {
        if let Err(error) = kept {
            tracing::warn!(%error, "core dumps could not be turned off");
        }
    }
}

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
