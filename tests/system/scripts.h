// Shell scripts that exercise Debian's programs in a guest. What they print depends on nothing but the programs and the CPU's
// results: no times, no process ids, no CPU names.
#pragma once

namespace adyton::system_test {

// The sequence of numbers is the input; digests and ciphers of every kind that libcrypto has assembly for.
inline constexpr char kOpenSsl[] = R"(
cd /tmp && seq 1 100000 > f
for digest in md5 sha1 sha224 sha256 sha384 sha512 sha3-256 blake2b512 blake2s256 ripemd160 sm3; do
  openssl dgst -$digest f 2>&1
done
key=000102030405060708090a0b0c0d0e0f; key2=101112131415161718191a1b1c1d1e1f
for cipher in aes-128-ecb aes-128-cbc aes-128-ctr aes-128-cfb aes-128-ofb camellia-128-cbc sm4-cbc; do
  openssl enc -$cipher -K $key -iv $key2 -in f -out e 2>/dev/null; openssl dgst -sha256 e
  openssl enc -d -$cipher -K $key -iv $key2 -in e 2>/dev/null | cmp - f && echo $cipher returns
done
for cipher in aes-256-cbc aes-256-ctr chacha20; do
  openssl enc -$cipher -K $key$key2 -iv $key2 -in f -out e; openssl dgst -sha256 e
  openssl enc -d -$cipher -K $key$key2 -iv $key2 -in e | cmp - f && echo $cipher returns
done
openssl mac -cipher aes-128-cbc -macopt hexkey:$key -in f CMAC
openssl mac -digest sha256 -macopt hexkey:$key -in f HMAC
openssl mac -cipher aes-128-gcm -macopt hexkey:$key -macopt hexiv:000102030405060708090a0b -in f GMAC
openssl mac -macopt hexkey:$key$key2 -in f Poly1305
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:adyton -kdfopt salt:naos -kdfopt iter:20000 PBKDF2
openssl prime -generate -bits 256 >p && openssl prime $(cat p) | sed 's/.*is prime/a prime is prime/'
)";

// Keys of each kind sign and verify; parameters and messages are random, what is printed is not.
inline constexpr char kOpenSslKeys[] = R"(
cd /tmp && seq 1 1000 > f
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa 2>/dev/null && openssl rsa -in rsa -check -noout 2>&1
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384
openssl genpkey -algorithm ED25519 -out ed25519
for key in rsa p256 p384; do
  openssl dgst -sha256 -sign $key -out s f && openssl pkey -in $key -pubout -out public
  openssl dgst -sha256 -verify public -signature s f
done
openssl pkeyutl -sign -inkey ed25519 -rawin -in f -out s && openssl pkeyutl -verify -inkey ed25519 -rawin -in f -sigfile s
openssl genpkey -algorithm X25519 -out a; openssl genpkey -algorithm X25519 -out b
openssl pkey -in a -pubout -out ap; openssl pkey -in b -pubout -out bp
openssl pkeyutl -derive -inkey a -peerkey bp -out ab
openssl pkeyutl -derive -inkey b -peerkey ap -out ba
cmp ab ba && echo one secret
)";

// The figures go, the algorithms and the number of figures stay.
inline constexpr char kOpenSslSpeed[] = R"(
for algorithm in aes-128-gcm aes-256-cbc chacha20-poly1305 sha256 sha512; do
  openssl speed -seconds 1 -bytes 8192 -evp $algorithm 2>/dev/null >/tmp/out; echo "$algorithm: exit $?"
  tail -n 1 /tmp/out | sed -E 's/[0-9]+\.[0-9]+k/N/g; s/ +/ /g'
done
openssl speed -seconds 1 rsa2048 ecdsap256 ecdhx25519 2>/dev/null >/tmp/out; echo "public keys: exit $?"
)";

inline constexpr char kSqlite[] = R"(
sqlite3 /tmp/database <<'END'
create table item(id integer primary key, name text, price real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
  insert into item select i, printf('item %05d', i * 7919 % 20011), i / 7.0 from n;
create index by_name on item(name);
select count(*), sum(id), avg(price), min(name), max(name) from item;
select id, name, round(price, 6) from item where name between 'item 00100' and 'item 00110' order by name;
update item set price = price * 1.1 where id % 3 = 0;
delete from item where id % 11 = 0;
select id % 10 as digit, count(*), total(price) from item group by digit order by digit;
pragma integrity_check;
END
)";

inline constexpr char kPerl[] = R"(
perl -e '
  use strict; use warnings; use POSIX qw(floor fmod); use Digest::SHA qw(sha256_hex); use List::Util qw(sum shuffle);
  my %sum; $sum{$_ % 97} += $_ * $_ for 1 .. 50000;
  print join(",", map { "$_=$sum{$_}" } sort { $a <=> $b } keys %sum), "\n";
  printf "%.17g %.17g %.17g %.17g\n", atan2(1, 1) * 4, exp(1), log(10), sqrt(2);
  printf "%.15g %.15g\n", sum(map { sin($_) ** 2 / cos($_ / 3) } 1 .. 1000), fmod(-7.5, 2);
  my $text = join " ", map { chr(97 + $_ * $_ % 26) x ($_ % 5 + 1) } 1 .. 5000;
  my %count; $count{$1}++ while $text =~ /\b((\w)\2*)\b/g;
  print "$_ $count{$_}\n" for sort keys %count;
  (my $changed = $text) =~ s/([aeiou]+)/<$1>/g; print sha256_hex($changed), "\n";
  print unpack("H*", pack("d> f> n N q> w", 1.5, -2.25, 513, 1 << 30, -3, 1234567)), "\n";
  print eval { die { code => 42 } } // $@->{code}, "\n";
')";

inline constexpr char kForks[] = R"(
i=0; good=0
while [ $i -lt 1000 ]; do (exit $((i % 7))); [ $? -eq $((i % 7)) ] && good=$((good + 1)); i=$((i + 1)); done
echo $good subshells
i=0; good=0
while [ $i -lt 1000 ]; do /bin/true && good=$((good + 1)); i=$((i + 1)); done
echo $good programs
i=0; while [ $i -lt 200 ]; do x=$(echo $i | cat | cat); i=$((i + 1)); done; echo $x
)";

inline constexpr char kGcc[] = R"END(
cd /tmp
cat > a.c <<'END'
#include <complex.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int compare(const void* a, const void* b) { return memcmp(a, b, 8); }
int main(void) {
  uint64_t numbers[1000], state = 1;
  for (int i = 0; i < 1000; ++i) numbers[i] = state = state * 6364136223846793005u + 1442695040888963407u;
  qsort(numbers, 1000, 8, compare);
  printf("%016lx %016lx\n", numbers[0], numbers[999]);
  double sum = 0;
  float product = 1;
  for (int i = 0; i < 1000; ++i) sum += sqrt((double)(numbers[i] >> 12)) * sin(i), product *= 1 + (float)i / 65536;
  printf("%a %a %.17g\n", sum, product, cabs(cexp(1 + 2 * I)) / lgamma(5.5));
  __int128 wide = (__int128)numbers[3] * (int64_t)numbers[5];
  printf("%016lx%016lx %ld\n", (uint64_t)(wide >> 64), (uint64_t)wide, (long)(numbers[7] / 1234567 % 1000));
  return 3;
}
END
for options in -O0 -O2 "-O3 -march=armv8.2-a+crypto" "-Os -fno-pie -no-pie -static" "-O2 -ffast-math -fwrapv"; do
  gcc $options a.c -o a -lm && ./a; echo "$options: $?"
  gcc $options -S a.c -o - | sha256sum
done
)END";

}  // namespace adyton::system_test
