#include "engine/jit/soft_tlb.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <tuple>

namespace adyton::engine::jit {
namespace {

uint8_t* host_of(uint64_t number) { return reinterpret_cast<uint8_t*>(number * kPageSize); }

arm64::Translation leaf(bool global, bool user, uint64_t size = kPageSize) {
  arm64::Translation t;
  t.page_size = size;
  t.global = global;
  t.user_read = t.user_write = user;
  t.priv_read = t.priv_write = true;
  return t;
}

class SoftTlbTest : public ::testing::Test {
 protected:
  SoftTlbTest() : state_(std::make_unique<ExecState>()), tlb_(*state_) {}

  // What a load or store finds in either level: the host page, or null.
  uint8_t* find(View view, uint64_t va, bool write = false) {
    const uint64_t tag = (va & kPageMask) | state_->context[view];
    const TlbEntry& entry = state_->tlb[view][tlb_index(va)];
    if ((write ? entry.write_tag : entry.read_tag) != tag && !tlb_.refill(view, va, write)) return nullptr;
    EXPECT_EQ(write ? entry.write_tag : entry.read_tag, tag);
    return reinterpret_cast<uint8_t*>((va & kPageMask) + entry.addend);
  }
  CodePage* find_code(View view, uint64_t va) {
    const uint64_t tag = (va & kPageMask) | state_->context[view];
    const InstructionTlbEntry& entry = state_->itlb[view][instruction_tlb_index(va)];
    if (entry.tag != tag && !tlb_.refill_instruction(view, va)) return nullptr;
    EXPECT_EQ(entry.tag, tag);
    return entry.page;
  }
  static CodePage* code(uint64_t number) { return reinterpret_cast<CodePage*>(number * kPageSize); }

  std::unique_ptr<ExecState> state_;
  SoftTlb tlb_;
};

constexpr uint64_t kAlias = uint64_t{kTlbEntries} * kPageSize;  // the same index in the first level

TEST_F(SoftTlbTest, KeepsPagesThatShareAnIndex) {
  for (uint64_t n = 1; n <= 5; ++n) tlb_.insert(kPrivilegedView, 0xffff'8000'0000'0000 + n * kAlias, leaf(true, false), host_of(n), true);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t n = 1; n <= 5; ++n) EXPECT_EQ(find(kPrivilegedView, 0xffff'8000'0000'0000 + n * kAlias + 8), host_of(n));
  }
}

TEST_F(SoftTlbTest, KeepsAPageOfSeveralAddressSpaces) {
  for (uint16_t asid = 1; asid <= 4; ++asid) {
    tlb_.set_context(asid, false);
    tlb_.insert(kUserView, 0x400000, leaf(false, true), host_of(asid), true);
    tlb_.insert_instruction(kUserView, 0x400000, leaf(false, true), nullptr, code(asid));
  }
  for (uint16_t asid = 1; asid <= 4; ++asid) {
    tlb_.set_context(asid, false);
    EXPECT_EQ(find(kUserView, 0x400000), host_of(asid));
    EXPECT_EQ(find_code(kUserView, 0x400000), code(asid));
  }
  tlb_.flush_range(0x400000, kPageSize);
  for (uint16_t asid = 1; asid <= 4; ++asid) {
    tlb_.set_context(asid, false);
    EXPECT_EQ(find(kUserView, 0x400000), nullptr);
    EXPECT_EQ(find_code(kUserView, 0x400000), nullptr);
  }
}

TEST_F(SoftTlbTest, FlushingTheInstructionsOfAViewReachesBothLevels) {
  for (uint64_t n = 1; n <= 2; ++n) tlb_.insert_instruction(kUserView, n * kAlias, leaf(false, true), nullptr, code(n));
  tlb_.flush_instructions(kUserView);
  for (uint64_t n = 1; n <= 2; ++n) EXPECT_EQ(find_code(kUserView, n * kAlias), nullptr);
}

TEST_F(SoftTlbTest, ForgetsWritePermissionsInBothLevels) {
  for (uint64_t n = 1; n <= 2; ++n) tlb_.insert(kUserView, n * kAlias, leaf(false, true), host_of(n), true);
  tlb_.flush_writes();
  for (uint64_t n = 1; n <= 2; ++n) {
    EXPECT_EQ(find(kUserView, n * kAlias, true), nullptr);
    EXPECT_EQ(find(kUserView, n * kAlias, false), host_of(n));
  }
}

TEST_F(SoftTlbTest, PrivilegedEntriesOfUserPagesEndWithTheirAddressSpace) {
  constexpr uint64_t kKernel = 0xffff'8000'0000'0000;
  tlb_.set_context(1, false);
  tlb_.insert(kPrivilegedView, kKernel, leaf(true, false), host_of(1), true);
  for (uint64_t n = 1; n <= 3; ++n) tlb_.insert(kPrivilegedView, n * kAlias, leaf(false, true), host_of(n), true);
  tlb_.set_context(2, false);
  for (uint64_t n = 1; n <= 3; ++n) EXPECT_EQ(find(kPrivilegedView, n * kAlias), nullptr);
  EXPECT_EQ(find(kPrivilegedView, kKernel), host_of(1));
  // More of them than are remembered one by one.
  for (uint64_t n = 1; n <= 200; ++n) tlb_.insert(kPrivilegedView, n * kPageSize, leaf(false, true), host_of(n), true);
  tlb_.set_context(2, true);
  for (uint64_t n = 1; n <= 200; ++n) EXPECT_EQ(find(kPrivilegedView, n * kPageSize), nullptr);
}

TEST_F(SoftTlbTest, InvalidatingEverythingManyTimesLeavesNothingBehind) {
  for (uint64_t n = 1; n <= 10'000; ++n) {
    tlb_.insert(kUserView, 0x1000, leaf(false, true), host_of(n), true);
    ASSERT_EQ(find(kUserView, 0x1000), host_of(n));
    tlb_.flush_all();
    ASSERT_EQ(find(kUserView, 0x1000), nullptr);
  }
}

// Whatever is found must have been inserted and not invalidated since.
TEST_F(SoftTlbTest, NeverFindsWhatWasInvalidated) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  // View, ASID (0 for what is not bound to one), page.
  using Key = std::tuple<unsigned, uint16_t, uint64_t>;
  std::map<Key, uint8_t*> valid, code_of;
  uint16_t asid = 0;
  auto pick_page = [&] {
    const uint64_t upper = random() % 2 ? 0xffff'8000'0000'0000 : 0;
    return upper + (random() % 4) * kAlias * 3 + (random() % 24) * kPageSize;
  };
  auto key = [&](View view, uint64_t va, bool global) { return Key{view, view == kUserView || !global ? asid : uint16_t{0xffff}, va}; };
  auto erase_if = [&](auto condition) { std::erase_if(valid, [&](const auto& item) { return condition(item.first); }); };
  uint64_t next = 1;
  unsigned found = 0;
  for (int step = 0; step < 200'000; ++step) {
    const uint64_t va = pick_page();
    const View view = random() % 2 ? kUserView : kPrivilegedView;
    const bool global = va >> 63;
    switch (random() % 32) {
      case 0: {
        asid = static_cast<uint16_t>(random() % 6);
        tlb_.set_context(asid, false);
        erase_if([&](const Key& k) { return std::get<0>(k) == kPrivilegedView && std::get<1>(k) != 0xffff && std::get<1>(k) != asid; });
        break;
      }
      case 1: {
        const uint64_t pages = random() % 3 ? 1 : random() % 2 ? 7 : 5000;
        tlb_.flush_range(va, pages * kPageSize);
        erase_if([&](const Key& k) { return std::get<2>(k) - va < pages * kPageSize; });
        break;
      }
      case 2: {
        const auto other = static_cast<uint16_t>(random() % 6);
        tlb_.flush_asid(other);
        erase_if([&](const Key& k) { return std::get<1>(k) == other; });
        break;
      }
      case 3:
        if (random() % 20 == 0) {
          tlb_.flush_all();
          valid.clear();
        }
        break;
      case 4: case 5: case 6: case 7: case 8: case 9: case 10: {
        uint8_t* host = host_of(next++);
        tlb_.insert(view, va, leaf(global, view == kUserView || !global), host, true);
        if (!find_code(view, va)) tlb_.insert_instruction(view, va, leaf(global, true), nullptr, reinterpret_cast<CodePage*>(host));
        valid[key(view, va, global)] = host;
        code_of[key(view, va, global)] = reinterpret_cast<uint8_t*>(find_code(view, va));
        break;
      }
      default: {
        const auto expected = valid.find(key(view, va, global));
        uint8_t* const allowed = expected == valid.end() ? nullptr : expected->second;
        uint8_t* const data = find(view, va, random() % 2);
        auto* const instructions = reinterpret_cast<uint8_t*>(find_code(view, va));
        ASSERT_TRUE(!data || data == allowed) << "step " << step;
        ASSERT_TRUE(!instructions || (allowed && instructions == code_of[key(view, va, global)])) << "step " << step;
        found += data != nullptr;
      }
    }
  }
  EXPECT_GT(found, 2'000u);
}

}  // namespace
}  // namespace adyton::engine::jit
