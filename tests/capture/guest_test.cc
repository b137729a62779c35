// The guest's own capture, by the stock kernel's vsockmon and Debian's tcpdump, against the host's of the same traffic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

std::string rootfs() {
  const char* chosen = std::getenv("ADYTON_TEST_CACHE");
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base = chosen  ? chosen
                           : cache ? std::string(cache) + "/adyton-test"
                                   : std::string(home ? home : "/root") + "/.cache/adyton-test";
  return base + "/capture";
}

TEST(GuestCapture, GuestAndHostSeeTheSamePackets) {
  TemporaryFolder folder;
  // tcpdump's own output is vsock traffic too: it goes to a file of the guest first. What is typed ends the guest's capture.
  folder.write("watch", R"sh(set -e
insmod /m/$(uname -r)/vsockmon.ko
ip link add type vsockmon
ip link set vsockmon0 up
tcpdump -Z root -i vsockmon0 -U -w /tmp/guest.pcap 2>/tmp/said & pid=$!
until grep -q listening /tmp/said; do kill -0 $pid || { cat /tmp/said; exit 3; }; done
echo READY
read line
kill -INT $pid; wait $pid || true
echo BEGIN
od -An -v -tx1 /tmp/guest.pcap
)sh");
  Adyton shell = Adyton::shell(
      R"sh(set -e
         export XDG_DATA_HOME="$TMPDIR"
         "$1" "$2" tcpdump iproute2 kmod >&2
         # The module of every kernel that is there: the guest knows which one it runs.
         kernels=$("$ADYTON" prepare --quiet | sed 's/.* ready in //')
         for package in "$kernels"/linux-image-*.deb; do
           dpkg-deb --fsys-tarfile "$package" | tar -x -C "$3" --wildcards './lib/modules/*/kernel/drivers/net/vsockmon.ko' 2>/dev/null || true
         done
         for module in "$3"/lib/modules/*/kernel/drivers/net/vsockmon.ko; do
           release=${module#"$3"/lib/modules/}; release=${release%%/*}
           mkdir "$3/$release"; mv "$module" "$3/$release/"
         done
         mkfifo "$TMPDIR/in"
         "$ADYTON" run --name seen --rootfs "$2" --mount "$3:/m:ro" -- sh /m/watch <"$TMPDIR/in" >"$TMPDIR/out" & run=$!
         exec 9>"$TMPDIR/in"
         { until "$ADYTON" capture seen -w "$TMPDIR/host.pcapng" 2>"$TMPDIR/said"; do kill -0 $run || exit 9; done; } & host=$!
         until grep -q capturing "$TMPDIR/said" 2>/dev/null; do kill -0 $run; done
         until grep -q READY "$TMPDIR/out"; do kill -0 $run; done
         for i in 1 2 3; do "$ADYTON" exec seen -- head -c 100000 /dev/zero | wc -c; done
         "$ADYTON" exec seen -- sh -c 'cat >/dev/null' </dev/null
         echo >&9
         wait $run
         wait $host
         sed -n '/^BEGIN/,$p' "$TMPDIR/out" | sed 1d | perl -ne 's/ //g; chomp; print pack "H*", $_' >"$TMPDIR/guest.pcap"
         python3 "$4" "$TMPDIR/host.pcapng" "$TMPDIR/guest.pcap")sh",
      {ADYTON_ROOTFS_SCRIPT, rootfs(), folder.path(), ADYTON_COMPARE});
  EXPECT_EQ(shell.finish(), 0) << shell.output() << shell.errors();
  EXPECT_THAT(
      shell.output(),
      ::testing::ContainsRegex(
          "100000\n100000\n100000\nguest to host: [0-9]+ packets are the same\nhost to guest: [0-9]+ packets are the same\n"));
}

}  // namespace
}  // namespace adyton::e2e
