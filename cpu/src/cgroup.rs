//! The control groups around this process.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The version of a hierarchy of groups. It decides the names of the files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// Returns the directories of the groups that can limit `controller`, each from the group up to its mount.
///
/// A container without its own cgroup namespace gets a path of the host that it cannot see. Its own group is then the
/// mount, which the list includes. Not every directory exists.
pub(crate) fn levels(root: &Path, controller: &str) -> Vec<(Version, PathBuf)> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    groups.lines().filter_map(|line| of_line(line, root, controller)).flatten().collect()
}

/// Reads a line: `0::/group` is version 2, `4:cpu,cpuacct:/group` the CPU controller of version 1.
fn of_line(line: &str, root: &Path, controller: &str) -> Option<Vec<(Version, PathBuf)>> {
    let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
    let names: Vec<&str> = controllers.split(',').collect();
    let (version, mounts) = if controllers.is_empty() {
        (Version::Two, vec![String::new(), "unified".to_owned()])
    } else if names.contains(&controller) {
        let reversed = names.iter().rev().copied().collect::<Vec<_>>().join(",");
        (Version::One, vec![controller.to_owned(), controllers.to_owned(), reversed])
    } else {
        return None;
    };
    let inside = |part: &Component| matches!(part, Component::Normal(_));
    let group: PathBuf = Path::new(group).components().filter(inside).collect();
    let mounts = mounts.iter().map(|mount| root.join("sys/fs/cgroup").join(mount));
    let levels =
        mounts.flat_map(|mount| group.ancestors().map(|level| mount.join(level)).collect::<Vec<_>>());
    Some(levels.map(|level| (version, level)).collect())
}
