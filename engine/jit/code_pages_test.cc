#include "engine/jit/code_pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

namespace adyton::engine::jit {
namespace {

constexpr uint64_t kBase = 0x4000'0000, kSize = 1 << 20;

class CodePagesTest : public ::testing::Test {
 protected:
  CodePagesTest() {
    EXPECT_TRUE(memory_.add_ram(kBase, kSize));
    EXPECT_TRUE(memory_.add_ram(kBase + 0x1000'0000, kSize));
    auto pages = CodePages::create(memory_);
    EXPECT_TRUE(pages);
    pages_ = std::move(*pages);
    pages_->set_thunks(&untranslated_, &invalidated_, 0);
  }

  GuestMemory memory_;
  std::unique_ptr<CodePages> pages_;
  const char untranslated_ = 0, invalidated_ = 0;
  alignas(8) uint8_t code_[64] = {};
};

TEST_F(CodePagesTest, OnePagePerPhysicalPageAndMode) {
  CodePage* page = pages_->page(kBase + 0x3000, 1);
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(pages_->page(kBase + 0x3000, 1), page);
  EXPECT_NE(pages_->page(kBase + 0x3000, 2), page);
  EXPECT_NE(pages_->page(kBase + 0x4000, 1), page);
  EXPECT_EQ(reinterpret_cast<const uint8_t*>(page->words()), memory_.slice(kBase + 0x3000, 4).data());
  CodePage* other = pages_->page(kBase + 0x1000'0000 + kSize - kPageSize, 1);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(reinterpret_cast<const uint8_t*>(other->words()), memory_.slice(kBase + 0x1000'0000 + kSize - kPageSize, 4).data());
}

TEST_F(CodePagesTest, NoPageWhereThereIsNoRam) {
  EXPECT_EQ(pages_->page(0, 1), nullptr);
  EXPECT_EQ(pages_->page(kBase + kSize, 1), nullptr);
  EXPECT_EQ(pages_->page(~uint64_t{0} & kPageMask, 1), nullptr);
  pages_->invalidate(kBase + kSize, 64);
}

TEST_F(CodePagesTest, InvalidationReachesAllModesOfTheLine) {
  CodePage* a = pages_->page(kBase, 1);
  CodePage* b = pages_->page(kBase, 2);
  ASSERT_TRUE(pages_->publish(*a, {0, 16, code_}, a->generation()));
  ASSERT_TRUE(pages_->publish(*b, {64, 80, code_ + 16}, b->generation()));
  ASSERT_TRUE(pages_->publish(*b, {32, 80, code_ + 32}, b->generation()));
  const uint64_t before = a->generation();
  pages_->invalidate(kBase + 64, 64);
  EXPECT_EQ(a->entry_point(0), code_);
  EXPECT_EQ(b->entry_point(64), &untranslated_);
  EXPECT_EQ(b->entry_point(32), &untranslated_);
  EXPECT_FALSE(pages_->publish(*a, {64, 68, code_ + 48}, before)) << "translated before the invalidation";
  pages_->invalidate_all();
  EXPECT_EQ(a->entry_point(0), &untranslated_);
}

TEST_F(CodePagesTest, ClearForgetsEveryPage) {
  CodePage* a = pages_->page(kBase, 1);
  ASSERT_TRUE(pages_->publish(*a, {0, 16, code_}, a->generation()));
  pages_->page(kBase + 0x1000'0000, 3);
  pages_->clear();
  EXPECT_EQ(pages_->page(kBase, 1)->entry_point(0), &untranslated_);
  EXPECT_EQ(pages_->page(kBase + 0x1000'0000, 3)->entry_point(0), &untranslated_);
}

// A page that is made while its instructions are changed is either found by the invalidation or holds the new instructions.
TEST_F(CodePagesTest, InvalidationAndAdditionDoNotMissEachOther) {
  for (unsigned round = 0; round < 1000; ++round) {
    const uint64_t pa = kBase + (round % 64) * kPageSize;
    auto* word = reinterpret_cast<uint32_t*>(memory_.slice(pa, 4).data());
    const unsigned mode = round / 64;
    uint32_t seen = 0;
    std::atomic<int> ready{0};
    bool published = false;
    std::thread translating([&] {
      ready.fetch_add(1);
      while (ready.load() < 2) std::this_thread::yield();
      CodePage* page = pages_->page(pa, mode);
      const uint64_t generation = page->generation();
      seen = __atomic_load_n(&page->words()[0], __ATOMIC_RELAXED);
      published = pages_->publish(*page, {0, 16, code_}, generation);
    });
    ready.fetch_add(1);
    while (ready.load() < 2) std::this_thread::yield();
    __atomic_store_n(word, round + 1, __ATOMIC_RELAXED);
    pages_->invalidate(pa, 64);
    translating.join();
    const bool still_there = pages_->page(pa, mode)->entry_point(0) != &untranslated_;
    ASSERT_TRUE(!still_there || (published && seen == round + 1)) << "an old translation is still reachable";
    pages_->invalidate_all();
  }
}

}  // namespace
}  // namespace adyton::engine::jit
