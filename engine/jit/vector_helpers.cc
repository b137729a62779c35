#include "engine/jit/vector_helpers.h"

#include <array>
#include <bit>

namespace adyton::engine::jit {

namespace {

using Words = std::array<uint32_t, 4>;
static_assert(std::endian::native == std::endian::little && sizeof(Words) == sizeof(Vector));

Words words_of(const Vector* v) { return std::bit_cast<Words>(*v); }

template <typename Function>
void rounds_of_sha1(Words& x, uint32_t e, const Words& w, Function function) {
  for (const uint32_t word : w) {
    const uint32_t next = std::rotl(x[0], 5) + function(x[1], x[2], x[3]) + e + word;
    e = x[3];
    x = {next, x[0], std::rotl(x[1], 30), x[2]};
  }
}

}  // namespace

void sha1_rounds(Vector* result, const Vector* abcd, const Vector* e, const Vector* w, uint64_t function) {
  Words x = words_of(abcd);
  const auto first = static_cast<uint32_t>(e->d[0]);
  switch (function) {
    case 0: rounds_of_sha1(x, first, words_of(w), [](uint32_t b, uint32_t c, uint32_t d) { return d ^ (b & (c ^ d)); }); break;
    case 1: rounds_of_sha1(x, first, words_of(w), [](uint32_t b, uint32_t c, uint32_t d) { return b ^ c ^ d; }); break;
    default: rounds_of_sha1(x, first, words_of(w), [](uint32_t b, uint32_t c, uint32_t d) { return (b & c) | (d & (b | c)); });
  }
  *result = std::bit_cast<Vector>(x);
}

void sha256_rounds(Vector* result, const Vector* abcd, const Vector* efgh, const Vector* w, uint64_t second) {
  auto [a, b, c, d] = words_of(abcd);
  auto [e, f, g, h] = words_of(efgh);
  for (const uint32_t word : words_of(w)) {
    const uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + (g ^ (e & (f ^ g))) + word;
    const uint32_t t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) | (c & (a | b)));
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  *result = std::bit_cast<Vector>(second ? Words{e, f, g, h} : Words{a, b, c, d});
}

}  // namespace adyton::engine::jit
