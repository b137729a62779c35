// Integer work as ordinary programs do it: lists, sorting, tables, hashing, compression, strings, divisions, calls.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <vector>

#include "bench/guest/harness.h"
#include "bench/guest/sha256.h"

namespace adyton::bench {
namespace {

constexpr uint32_t kTextSize = 64 << 10;
std::array<uint8_t, kTextSize> text;

// Text-like bytes: words from a small vocabulary with some noise, so that matches and branches behave like real data.
void prepare_text() {
  static const char* const words[] = {"the ",  "quick ", "virtual ", "machine ",  "enters ", "a ",
                                      "room ", "0x1f ",  "42\n",     "-17.5e3, ", "and ",    "page\n"};
  Random random(11);
  for (uint32_t i = 0; i < kTextSize;) {
    const char* word = words[random.below(std::size(words))];
    while (*word && i < kTextSize) text[i++] = static_cast<uint8_t>(*word++);
    if (random.below(16) == 0 && i < kTextSize) text[i++] = static_cast<uint8_t>('a' + random.below(26));
  }
}

uint64_t run_mix(uint64_t iterations) {
  uint64_t h = 1, a = 3;
  for (uint64_t i = 0; i < iterations * 1000; ++i) {
    h = std::rotl(h ^ (i * 0x9E3779B97F4A7C15), 13) + a;
    a = a * 5 + h;
    if (h & 0x40) {
      a ^= h >> 7;
    } else {
      a -= h >> 3;
    }
  }
  return h ^ a;
}

// A linked list that is searched, reversed and merge-sorted.
struct Node {
  Node* next;
  uint32_t key, value;
};
std::array<Node, 512> nodes;

Node* merge_sort(Node* list, uint32_t size) {
  if (size <= 1) {
    if (list) list->next = nullptr;
    return list;
  }
  Node* middle = list;
  for (uint32_t i = 0; i < size / 2; ++i) middle = middle->next;
  Node* right = merge_sort(middle, size - size / 2);
  Node* walk = list;
  for (uint32_t i = 1; i < size / 2; ++i) walk = walk->next;
  walk->next = nullptr;
  Node* left = merge_sort(list, size / 2);
  Node head{};
  Node* tail = &head;
  while (left && right) {
    Node*& smaller = right->key < left->key ? right : left;
    tail = tail->next = smaller;
    smaller = smaller->next;
  }
  tail->next = left ? left : right;
  return head.next;
}

uint64_t run_list(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    Random random(round % 16 + 5);
    for (uint32_t i = 0; i < nodes.size(); ++i)
      nodes[i] = {i + 1 < nodes.size() ? &nodes[i + 1] : nullptr, static_cast<uint32_t>(random.next()), i};
    Node* list = merge_sort(&nodes[0], nodes.size());
    Node* reversed = nullptr;
    while (list) {
      Node* next = list->next;
      list->next = reversed;
      reversed = list;
      list = next;
    }
    for (uint32_t wanted = 0; wanted < 16; ++wanted) {
      uint64_t depth = 0;
      for (Node* node = reversed; node && node->value != wanted * 31; node = node->next) ++depth;
      sum += depth * (wanted + 1);
    }
  }
  return sum;
}

uint64_t run_matrix(uint64_t iterations) {
  constexpr int kSize = 24;
  static int16_t a[kSize][kSize], b[kSize][kSize];
  static int32_t c[kSize][kSize];
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (int i = 0; i < kSize * kSize; ++i) {
      a[i / kSize][i % kSize] = static_cast<int16_t>(i * 7 + static_cast<int>(round));
      b[i / kSize][i % kSize] = static_cast<int16_t>(i * 3 - 50);
    }
    for (int i = 0; i < kSize; ++i) {
      for (int j = 0; j < kSize; ++j) {
        int32_t total = 0;
        for (int k = 0; k < kSize; ++k) {
          const int32_t product = a[i][k] * b[k][j];
          total += ((product >> 2) & 15) * ((product >> 5) & 127);
          asm volatile("" : "+r"(total));  // scalar on purpose
        }
        c[i][j] = total;
      }
    }
    sum += static_cast<uint32_t>(c[round % kSize][5]);
  }
  return digest(c, sizeof(c), sum);
}

// Classifies the text's tokens by a state machine, as a lexer does.
uint64_t run_state(uint64_t iterations) {
  enum State { kStart, kInteger, kSign, kFraction, kExponent, kHex, kWord, kStates };
  std::array<uint32_t, kStates> counts{};
  for (uint64_t round = 0; round < iterations; ++round) {
    State state = kStart;
    for (const uint8_t c : text) {
      const bool digit = c >= '0' && c <= '9';
      switch (state) {
        case kStart: state = digit ? kInteger : c == '-' || c == '+' ? kSign : c >= 'a' && c <= 'z' ? kWord : kStart; break;
        case kSign: state = digit ? kInteger : kStart; break;
        case kInteger:
          if (digit) break;
          state = c == '.' ? kFraction : c == 'x' ? kHex : c == 'e' ? kExponent : kStart;
          break;
        case kFraction:
          if (!digit) state = c == 'e' ? kExponent : kStart;
          break;
        case kExponent:
          if (!digit && c != '-') state = kStart;
          break;
        case kHex:
          if (!digit && (c < 'a' || c > 'f')) state = kStart;
          break;
        default:
          if (c <= ' ') state = kStart;
      }
      ++counts[state];
    }
  }
  uint64_t sum = 0;
  for (const uint32_t count : counts) sum = sum * 31 + count;
  return sum;
}

uint64_t run_crc_table(uint64_t iterations) {
  static std::array<uint32_t, 256> table;
  if (table[1] == 0) {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = c & 1 ? 0xEDB88320 ^ (c >> 1) : c >> 1;
      table[i] = c;
    }
  }
  uint32_t crc = ~0u;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (const uint8_t byte : text) crc = table[(crc ^ byte) & 255] ^ (crc >> 8);
  }
  return crc;
}

constexpr uint32_t kSortSize = 4096;

void fill(std::array<uint32_t, kSortSize>& values, uint64_t round) {
  Random random(round % 8 + 77);
  for (uint32_t& value : values) value = static_cast<uint32_t>(random.next());
}

uint64_t run_sort(uint64_t iterations) {
  static std::array<uint32_t, kSortSize> values;
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    fill(values, round);
    std::sort(values.begin(), values.end());
    sum += values[round % kSortSize];
  }
  return sum;
}

// The C library's qsort: an indirect call per comparison.
uint64_t run_qsort(uint64_t iterations) {
  static std::array<uint32_t, kSortSize> values;
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    fill(values, round);
    std::qsort(values.data(), values.size(), sizeof(uint32_t), [](const void* a, const void* b) {
      const uint32_t x = *static_cast<const uint32_t*>(a), y = *static_cast<const uint32_t*>(b);
      return x < y ? -1 : static_cast<int>(x > y);
    });
    sum += values[round % kSortSize];
  }
  return sum;
}

uint64_t run_hash(uint64_t iterations) {
  constexpr uint32_t kSlots = 1 << 16;
  static std::vector<uint32_t> keys(kSlots), counts(kSlots);
  Random random(3);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < iterations * 1000; ++i) {
    const uint32_t key = (static_cast<uint32_t>(random.next()) & 0x7fff) + 1;
    uint32_t slot = (key * 2654435761u) >> 16;
    while (keys[slot] != key && keys[slot] != 0) slot = (slot + 1) % kSlots;
    keys[slot] = key;
    sum += ++counts[slot];
  }
  return sum;
}

// Greedy Lempel-Ziv with a hash table of positions.
uint64_t run_lz(uint64_t iterations) {
  static std::array<uint32_t, 1 << 13> heads;
  static std::array<uint8_t, kTextSize * 2> out;
  uint64_t total = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    heads.fill(0);
    uint32_t produced = 0;
    for (uint32_t i = 0; i + 4 < kTextSize;) {
      uint32_t word;
      std::memcpy(&word, &text[i], 4);
      const uint32_t hash = (word * 2654435761u) >> 19;
      const uint32_t candidate = heads[hash];
      heads[hash] = i;
      uint32_t length = 0;
      if (candidate < i) {
        while (i + length < kTextSize && length < 255 && text[candidate + length] == text[i + length]) ++length;
      }
      if (length >= 4) {
        out[produced++] = static_cast<uint8_t>(length);
        out[produced++] = static_cast<uint8_t>(i - candidate);
        out[produced++] = static_cast<uint8_t>((i - candidate) >> 8);
        i += length;
      } else {
        out[produced++] = text[i++];
      }
    }
    total += produced;
  }
  return total * 1000 + digest(out.data(), 1000) % 1000;
}

// strlen, memchr, strchr, strcmp and memcmp of the C library on short strings.
uint64_t run_string(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    const auto* begin = reinterpret_cast<const char*>(text.data());
    const char* end = begin + kTextSize / 4;
    char line[256];
    while (begin < end) {
      const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', static_cast<size_t>(end - begin)));
      const size_t length = std::min<size_t>(static_cast<size_t>((newline ? newline : end) - begin), sizeof(line) - 1);
      std::memcpy(line, begin, length);
      line[length] = 0;
      sum += std::strlen(line) + static_cast<size_t>(std::strcmp(line, "the quick virtual") > 0);
      if (const char* space = std::strchr(line, ' ')) sum += static_cast<size_t>(space - line);
      if (std::strstr(line, "room a")) sum += 7;
      begin += length + 1;
    }
  }
  return sum;
}

constexpr uint32_t kChaseNodes = 1 << 17;
struct alignas(64) ChaseNode {
  ChaseNode* next;
  uint64_t value;
};
std::vector<ChaseNode> chase;

void prepare_chase() {
  chase.resize(kChaseNodes);
  std::vector<uint32_t> order(kChaseNodes);
  std::iota(order.begin(), order.end(), 0u);
  Random random(5);
  for (uint32_t i = kChaseNodes - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  for (uint32_t i = 0; i < kChaseNodes; ++i) chase[order[i]] = {&chase[order[(i + 1) % kChaseNodes]], order[i]};
}

uint64_t run_chase(uint64_t iterations) {
  const ChaseNode* node = chase.data();
  uint64_t sum = 0;
  for (uint64_t i = 0; i < iterations * 1000; ++i) {
    sum += node->value;
    node = node->next;
  }
  return sum;
}

// Euclid's algorithm: a chain of dependent divisions.
uint64_t run_divide(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t round = 0; round < iterations; ++round) {
    for (uint64_t i = 1; i <= 64; ++i) {
      uint64_t a = 0x1234567890abcdef / i + round % 64, b = 7919 * i * i * i;
      while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
        ++sum;
      }
      sum += a;
    }
  }
  return sum;
}

uint64_t run_sha256(uint64_t iterations) {
  Sha256State state = kSha256Initial;
  for (uint64_t i = 0; i < iterations; ++i) sha256_blocks(state, text.data(), 8192 / kSha256Block);
  return digest(state.data(), sizeof(state));
}

// As the C++ library's atomics are compiled for Debian: through the outline helpers, which use LSE where the CPU has it.
uint64_t run_atomic(uint64_t iterations) {
  static std::atomic<uint64_t> counter, other;
  counter = 0;
  other = 0;
  for (uint64_t i = 0; i < iterations * 250; ++i) {
    counter.fetch_add(3);
    uint64_t seen = other.load(std::memory_order_acquire);
    while (!other.compare_exchange_weak(seen, seen * 5 + 1)) {}
    counter.fetch_or(1, std::memory_order_release);
    other.exchange(counter.load());
  }
  return counter + other;
}

}  // namespace

std::span<const Benchmark> integer_benchmarks() {
  static const Benchmark all[] = {
      {"int.mix", "ns", 1000, run_mix},
      {"int.list", "ns", 512, run_list},
      {"int.matrix", "ns", 24 * 24 * 24, run_matrix},
      {"int.state", "ns", kTextSize, run_state, prepare_text},
      {"int.crc_table", "MB/s", kTextSize, run_crc_table, prepare_text},
      {"int.sort", "ns", kSortSize, run_sort},
      {"int.qsort", "ns", kSortSize, run_qsort},
      {"int.hash", "ns", 1000, run_hash},
      {"int.lz", "MB/s", kTextSize, run_lz, prepare_text},
      {"int.string", "MB/s", kTextSize / 4, run_string, prepare_text},
      {"int.chase", "ns", 1000, run_chase, prepare_chase},
      {"int.divide", "ns", 64, run_divide},
      {"int.sha256", "MB/s", 8192, run_sha256, prepare_text},
      {"int.atomic", "ns", 1000, run_atomic},
  };
  return all;
}

}  // namespace adyton::bench
