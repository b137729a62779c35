// Debian's userland in a guest: the root file systems that the tests run, and QEMU as the second opinion on what runs in them.
#pragma once
#include <string>

#include "tests/e2e/adyton.h"

namespace adyton::system_test {

// Made by scripts/debian-rootfs in the user's cache at first use. The small one has a shell, openssl, perl and sqlite3; the full
// one also gcc and python3 with its tests.
std::string small_root();
std::string full_root();

// `/bin/sh -c SCRIPT` in the root file system, on Adyton. The script begins in / with an empty standard input.
e2e::Finished run_script(const std::string& root, const std::string& script, unsigned cpus = 2);

// The same on QEMU's system emulator, with the same kernel, modules, disk, CPU count and memory; standard error is dropped. Fails
// the test and returns code -1 when the guest does not get to the script's end.
e2e::Finished run_script_in_qemu(const std::string& root, const std::string& script, unsigned cpus = 2);

}  // namespace adyton::system_test
