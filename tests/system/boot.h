// Boots of a stock Debian kernel with the micro guest.
#pragma once

namespace adyton::system_test {

// Boots `times` times in a row to a payload, each with a limit far beyond what a boot takes; a boot that hangs or fails ends the
// test with the guest's console in the message.
void expect_boots(const char* suite, unsigned cpus, int times);

}  // namespace adyton::system_test
