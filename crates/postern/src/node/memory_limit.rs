//! Memory limit of the control group of this process (cgroup v2 or v1), and the bounds of a gateway that keep within it.

use std::num::NonZeroUsize;
use std::path::Path;

/// Error for a memory limit that leaves no room for sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory limit of {} MiB leaves none for sockets, as 128 MiB are the gateway's own: raise it, or set POSTERN_MAX_SOCKETS",
    .0 / MIB
)]
pub struct TooLittleMemory(u64);

/// Memory limit in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryLimit(u64);

impl MemoryLimit {
    /// Reads the limit of this process; `None` without a limit.
    pub(super) fn of_process() -> Option<Self> {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        memory_limit(&read).map(Self)
    }

    /// Returns the number of sockets for which the limit suffices.
    ///
    /// # Errors
    /// [`TooLittleMemory`] when it suffices for none.
    pub(super) fn max_sockets(self) -> Result<NonZeroUsize, TooLittleMemory> {
        let sockets = self.0.saturating_sub(OWN) / PER_SOCKET;
        let sockets = usize::try_from(sockets).unwrap_or(usize::MAX);
        NonZeroUsize::new(sockets).ok_or(TooLittleMemory(self.0))
    }

    /// Returns the number of connections without a token for which the limit suffices beside the sockets. Each may fill its buffers.
    pub(super) fn pending_connections(self) -> usize {
        usize::try_from(self.0 / PER_PENDING).unwrap_or(usize::MAX).max(1)
    }
}

/// Returns the smallest limit that holds for this process, in bytes. `read` reads a file, `None` where there is none.
fn memory_limit(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let mounts = mounts.lines().filter_map(Mount::parse);
    let limits = mounts.filter_map(|mount| {
        let group = groups.lines().find_map(|line| mount.group(line))?;
        mount.limit(group, read)
    });
    limits.min()
}

/// Mounted hierarchy of control groups that may limit memory.
struct Mount<'a> {
    /// Directory of the hierarchy that is mounted.
    root: &'a Path,
    /// Mount point.
    point: &'a Path,
    is_v2: bool,
}

impl<'a> Mount<'a> {
    /// Parses a line of `/proc/self/mountinfo` (proc(5)).
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut filesystem = filesystem.split(' ');
        let (kind, options) = (filesystem.next()?, filesystem.nth(1)?);
        let is_v2 = match kind {
            "cgroup2" => true,
            "cgroup" if options.split(',').any(|option| option == "memory") => false,
            _ => return None,
        };
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (Path::new(mount.next()?), Path::new(mount.next()?));
        Some(Self { root, point, is_v2 })
    }

    /// Returns the path of the group in this hierarchy, from a line of `/proc/self/cgroup` (cgroups(7)) about it.
    fn group<'g>(&self, line: &'g str) -> Option<&'g Path> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_own = match self.is_v2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|controller| controller == "memory"),
        };
        is_own.then_some(Path::new(path))
    }

    /// Returns the limit of a group. Those above it count too; version 1 includes them in `memory.stat`.
    fn limit(&self, group: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
        // Outside of the mounted part, the process is in a container that has only its own group.
        let within = group.strip_prefix(self.root).unwrap_or(Path::new(""));
        let group = self.point.join(within);
        if !self.is_v2 {
            let stat = read(&group.join("memory.stat"))?;
            let limit = stat
                .lines()
                .find_map(|line| line.strip_prefix("hierarchical_memory_limit "));
            return limit?.parse().ok().filter(|limit| *limit < UNLIMITED);
        }
        let groups = group.ancestors().take_while(|above| above.starts_with(self.point));
        let limits = groups.filter_map(|group| read(&group.join("memory.max"))?.trim().parse().ok());
        limits.min()
    }
}

/// Memory of a gateway without sockets, and room for bursts.
const OWN: u64 = 128 * MIB;
/// Memory of one socket, with its share of the kernel's buffers.
const PER_SOCKET: u64 = 40 * 1024;
/// Memory limit per connection without a token. It takes up to 100 KiB: an unfinished `ClientHello` of 64 KiB, or as large a message.
/// All of them together fit into what 128 MiB and 40 KiB leave beside a full gateway, whose idle sockets take 25 KiB.
const PER_PENDING: u64 = 256 * 1024;
const MIB: u64 = 1024 * 1024;
/// Limit from which version 1 means none: the largest number of pages, in bytes.
const UNLIMITED: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::PathBuf;

    use super::*;

    /// Limit of a process with these lines of `/proc/self/cgroup` and `/proc/self/mountinfo`, and these files.
    fn limit(groups: &str, mounts: &str, files: &[(&str, &str)]) -> Option<u64> {
        let mut files: HashMap<_, _> = files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect();
        files.insert("/proc/self/cgroup".into(), groups);
        files.insert("/proc/self/mountinfo".into(), mounts);
        memory_limit(&|path| files.get(path).map(|text| (*text).to_owned()))
    }

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";

    #[test]
    fn limit_of_version_2_is_the_smallest_up_to_the_mount() {
        let group = "/sys/fs/cgroup/pods/one/memory.max";
        let pods = "/sys/fs/cgroup/pods/memory.max";
        let of = |files: &[_]| limit("0::/pods/one", V2, files);
        assert_eq!(of(&[(group, "1000\n"), (pods, "2000\n")]), Some(1000));
        assert_eq!(of(&[(group, "3000\n"), (pods, "2000\n")]), Some(2000));
        assert_eq!(of(&[(group, "max\n"), (pods, "max\n")]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(
            limit("0::/", V2, &[("/sys/fs/cgroup/memory.max", "4000\n")]),
            Some(4000)
        );
    }

    #[test]
    fn limit_of_version_1_includes_those_above_the_group() {
        let stat = |limit: &str| format!("cache 0\nhierarchical_memory_limit {limit}\nhierarchical_memsw_limit 5\n");
        let of = |text: &str| {
            let path = "/sys/fs/cgroup/memory/pods/one/memory.stat";
            limit("5:cpu,cpuacct:/other\n4:memory:/pods/one\n0::/", V1, &[(path, text)])
        };
        assert_eq!(of(&stat("1000")), Some(1000));
        assert_eq!(of(&stat("9223372036854771712")), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn group_outside_of_the_mounted_part_is_the_containers_own() {
        let mount = "35 31 0:32 /docker/one /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        let own = [("/sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 1000\n")];
        assert_eq!(limit("4:memory:/docker/one", mount, &own), Some(1000));
        assert_eq!(limit("4:memory:/../elsewhere", mount, &own), Some(1000));
    }

    #[test]
    fn both_versions_at_once_and_neither_are_read() {
        let mounts = format!("{V1}\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");
        let stat = (
            "/sys/fs/cgroup/memory/a/memory.stat",
            "hierarchical_memory_limit 1000\n",
        );
        assert_eq!(limit("4:memory:/a\n0::/", &mounts, &[stat]), Some(1000));
        assert_eq!(limit("0::/", "22 1 0:5 / /proc rw - proc proc rw", &[]), None);
        assert_eq!(memory_limit(&|_| None), None);
    }

    #[test]
    fn sockets_are_the_limit_less_the_gateways_own_memory() {
        let sockets = |limit| MemoryLimit(limit).max_sockets().map(NonZeroUsize::get);
        assert_eq!(sockets(1024 * MIB), Ok(22_937));
        assert_eq!(sockets(128 * MIB + PER_SOCKET), Ok(1));
        let none = sockets(128 * MIB).unwrap_err();
        assert_eq!(
            none.to_string(),
            "the memory limit of 128 MiB leaves none for sockets, as 128 MiB are the gateway's own: raise it, or set \
             POSTERN_MAX_SOCKETS"
        );
    }

    #[test]
    fn pending_connections_fit_beside_the_sockets_of_a_full_gateway() {
        assert_eq!(MemoryLimit(1024 * MIB).pending_connections(), 4_096);
        for limit in [129, 160, 256, 512, 1024, 4096].map(|limit| limit * MIB) {
            let sockets = u64::try_from(MemoryLimit(limit).max_sockets().unwrap().get()).unwrap();
            let pending = u64::try_from(MemoryLimit(limit).pending_connections().min(4_096)).unwrap();
            let used = 45 * MIB + sockets * 25 * 1024 + pending * 100 * 1024;
            assert!(used <= limit, "{limit}: {used}");
        }
    }
}
