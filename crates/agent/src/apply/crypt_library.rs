//! Which hashes the machine below the root can verify, as far as its crypt(3) shows it.

use super::Root;

/// What is known of the machine's crypt(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CryptLibrary {
    /// libxcrypt 4.3 or later.
    KnowsYescrypt,
    /// glibc's own, musl's, or an early libxcrypt (Red Hat 8).
    LacksYescrypt,
    /// No library found: a tree without one, or a place that we do not know.
    Unknown,
}

impl CryptLibrary {
    /// Looks at the first library found. Its name says too little (both kinds are called
    /// libcrypt.so.1), but each carries the prefixes it knows as text.
    pub(super) fn below(root: &Root) -> Self {
        match candidates().find_map(|path| root.read(&path, LARGEST).ok().flatten()) {
            Some(library) if contains(&library, b"$y$\0") => Self::KnowsYescrypt,
            Some(_) => Self::LacksYescrypt,
            None => Self::Unknown,
        }
    }
}

/// Bytes; libxcrypt has about 0.2 MB and musl below 1 MB.
const LARGEST: usize = 4 << 20;

/// Where distributions keep the library, the newer soname first; then musl, which is one file.
fn candidates() -> impl Iterator<Item = String> {
    let arch = std::env::consts::ARCH;
    let directories = [format!("usr/lib/{arch}-linux-gnu"), format!("lib/{arch}-linux-gnu")]
        .into_iter()
        .chain(["usr/lib64", "lib64", "usr/lib", "lib"].into_iter().map(str::to_owned));
    let directories: Vec<_> = directories.collect();
    ["libcrypt.so.2", "libcrypt.so.1"]
        .into_iter()
        .flat_map(move |name| {
            directories.clone().into_iter().map(move |directory| format!("{directory}/{name}"))
        })
        .chain([format!("lib/ld-musl-{arch}.so.1")])
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_library_tells_by_its_text_not_by_its_name() {
        for (path, text, known) in [
            ("usr/lib64/libcrypt.so.2", "\0$gy$\0$y$\0$7$\0", CryptLibrary::KnowsYescrypt),
            ("lib64/libcrypt.so.1", "\0$6$\0$5$\0", CryptLibrary::LacksYescrypt),
            ("usr/lib/other", "$y$\0", CryptLibrary::Unknown),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let root = Root::open(dir.path()).unwrap();
            assert_eq!(CryptLibrary::below(&root), known, "{text:?}");
        }
    }

    #[test]
    fn the_system_that_runs_the_tests_is_recognised() {
        let root = Root::open(Path::new("/")).unwrap();
        assert_ne!(CryptLibrary::below(&root), CryptLibrary::Unknown);
    }
}
