// Debian's userland in the guest, in short: answers that are known in advance. userland_nightly_test.cc asks QEMU.
#include <gtest/gtest.h>

#include "tests/system/guest.h"
#include "tests/system/scripts.h"

namespace adyton::system_test {
namespace {

using e2e::Finished;

// FIPS 180-2 and FIPS 202 examples ("abc"), the AES vectors of SP 800-38A (F.1.1, F.5.1) and RFC 4231 (test case 2).
TEST(Userland, OpenSslGivesTheStandardsAnswers) {
  const Finished done = run_script(small_root(), R"(
for digest in sha1 sha256 sha3-256; do printf abc | openssl dgst -$digest -r; done
printf '%b' '\153\301\276\342\056\100\237\226\351\075\176\021\163\223\027\052' |
  openssl enc -aes-128-ecb -nopad -K 2b7e151628aed2a6abf7158809cf4f3c | od -An -tx1
printf '%b' '\153\301\276\342\056\100\237\226\351\075\176\021\163\223\027\052' |
  openssl enc -aes-128-ctr -K 2b7e151628aed2a6abf7158809cf4f3c -iv f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff | od -An -tx1
printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe -r
)");
  EXPECT_EQ(done.output,
            "a9993e364706816aba3e25717850c26c9cd0d89d *stdin\n"
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad *stdin\n"
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532 *stdin\n"
            " 3a d7 7b b4 0d 7a 36 60 a8 9e ca f3 24 66 ef 97\n"
            " 87 4d 61 91 b6 20 e3 26 1b ef 68 64 99 0d b6 ce\n"
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843 *stdin\n");
  EXPECT_EQ(done.code, 0) << done.errors;
}

TEST(Userland, SqliteKeepsABooksIntegrity) {
  const Finished done = run_script(small_root(), R"(sqlite3 /tmp/database <<'END'
create table item(id integer primary key, name text, price real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
  insert into item select i, printf('item %05d', i * 7919 % 20011), i / 8.0 from n;
create index by_name on item(name);
select count(*), sum(id), avg(price) from item;
delete from item where id % 11 = 0;
select count(*), total(price) from item;
pragma integrity_check;
END
)");
  // 1 + ... + 20000 = 200010000; the multiples of 11 up to 19998 are 1818 with the sum 11 * 1653471 = 18188181.
  EXPECT_EQ(done.output, "20000|200010000|1250.0625\n18182|22727727.375\nok\n");
  EXPECT_EQ(done.code, 0) << done.errors;
}

TEST(Userland, AShellForksAndPerlComputes) {
  const Finished done = run_script(small_root(), R"(
i=0; good=0
while [ $i -lt 100 ]; do (exit $((i % 7))); [ $? -eq $((i % 7)) ] && good=$((good + 1)); i=$((i + 1)); done
echo $good
perl -e '
  printf "%.15g %d\n", atan2(1, 1) * 4, 3 ** 20;
  my %h; $h{$_ % 10} += $_ for 1 .. 1000; print join(" ", map $h{$_}, sort keys %h), "\n"; exit 9'
)",
                                   4);
  EXPECT_EQ(done.output,
            "100\n3.14159265358979 3486784401\n"
            "50500 49600 49700 49800 49900 50000 50100 50200 50300 50400\n");
  EXPECT_EQ(done.code, 9) << done.errors;
}

}  // namespace
}  // namespace adyton::system_test
