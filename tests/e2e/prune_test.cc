// `adyton prune`, on a cache of the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// Sets up $XDG_CACHE_HOME in $TMPDIR with a copy of the packages and kernels that are there, so that nothing is fetched, and ends
// what it started. A folder that has not changed for long has an image that is kept: common-licenses.
constexpr const char* kSetUp = R"sh(
    set -e
    "$ADYTON" prepare --quiet >/dev/null
    from="${XDG_CACHE_HOME:-$HOME/.cache}/adyton"
    export XDG_CACHE_HOME="$TMPDIR/cache" XDG_DATA_HOME="$TMPDIR/data" ADYTON_DEBIAN_MIRROR="file://$TMPDIR/none"
    cache="$XDG_CACHE_HOME/adyton"
    mkdir -p "$cache"
    cp -p "$from"/kernel-*.ref "$from"/linux-*.deb "$from"/vmlinuz-* "$cache"
    trap 'rm -rf "$TMPDIR"/*' EXIT
    set +e
)sh";

Finished script(const std::string& commands) {
  Adyton shell = Adyton::shell(kSetUp + commands);
  const int code = shell.finish();
  return {.code = code, .output = shell.output(), .errors = shell.errors()};
}

TEST(Prune, ShowsWhatItWouldRemoveAndRemovesItWhenTold) {
  const Finished done = script(R"sh(
      "$ADYTON" prepare --quiet >/dev/null || exit 9
      touch -d '10 days ago' "$cache"/vmlinuz-*
      mkdir "$cache/guest-packages" && echo kept >"$cache/guest-packages/kept"
      files=$(ls "$cache" | wc -l)
      "$ADYTON" prune >"$TMPDIR/shown" || exit 8
      [ "$(ls "$cache" | wc -l)" = "$files" ] || exit 7
      cat "$TMPDIR/shown"
      echo --- by age
      "$ADYTON" prune --force --unused-for 9 || exit 6
      echo --- left: $(ls "$cache" | grep -c vmlinuz) kernels, $(ls "$cache" | grep -c initramfs) initramfs
      "$ADYTON" prune --force >/dev/null || exit 5
      "$ADYTON" prune || exit 4
      find "$cache" -type f)sh");
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_THAT(done.output, ContainsRegex("^Would be removed:\n"
                                         " +[0-9.]+ MiB  10 days ago   vmlinuz-[^\n]*\n"
                                         "(.*\n)*"
                                         "[0-9]+ files, [0-9.]+ MiB\n"
                                         "--- by age\n"
                                         "Removed:\n"
                                         "( +[0-9.]+ MiB  10 days ago   vmlinuz-[^\n]*\n)+"
                                         "[0-9]+ files?, [0-9.]+ MiB\n"
                                         "--- left: 0 kernels, 1 initramfs\n"
                                         "There is nothing to remove.\n"
                                         "[^\n]*/guest-packages/kept\n$"));
  EXPECT_EQ(done.errors, "adyton: nothing has been removed: 'adyton prune --force' does that\n");
}

TEST(Prune, NeverTakesTheImageOfARunningVm) {
  const Finished done = script(R"sh(
      licenses=/usr/share/common-licenses
      "$ADYTON" run --detach --name one --mount $licenses:/data "$PROBE" wait >/dev/null || exit 9
      "$ADYTON" prune | grep -A1 '^Virtual machines'
      "$ADYTON" prune --force | grep -A2 '^Virtual machines'
      touch -d '40 days ago' "$cache"/tree-*.erofs
      "$ADYTON" prune --force | grep -c erofs
      ls "$cache" | sed 's/-.*[.]/-X./'
      "$ADYTON" cp one:/data/GPL-3 "$TMPDIR/copy" && cmp "$TMPDIR/copy" $licenses/GPL-3 && echo intact
      "$ADYTON" kill one
      "$ADYTON" prune --force >/dev/null
      ls "$cache"
      "$ADYTON" delete one)sh");
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_THAT(done.output, ContainsRegex("^Virtual machines have open, and keep:\n"
                                         " +[0-9.]+ [KM]iB  in use        tree-[0-9a-f]+[.]erofs\n"
                                         "Virtual machines have open, and keep:\n"
                                         " +[0-9.]+ [KM]iB  in use        tree-[0-9a-f]+[.]erofs\n"
                                         "1 file, [0-9.]+ [KM]iB\n"
                                         "1\n"
                                         "tree-X.erofs\n"
                                         "intact\n$"))
      << done.errors;
}

TEST(Prune, SaysWhatItCannotDo) {
  const Finished done = script(R"sh(XDG_CACHE_HOME=/proc/none "$ADYTON" prune)sh");
  EXPECT_EQ(done.code, 125);
  EXPECT_THAT(done.errors, HasSubstr("adyton: making the cache directory /proc/none/adyton"));
}

}  // namespace
}  // namespace adyton::e2e
