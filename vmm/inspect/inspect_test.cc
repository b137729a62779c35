// What is read out of a guest's memory: as Linux leaves it there, and as somebody hostile would.
#include <elf.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "vmm/inspect/backtrace.h"
#include "vmm/inspect/core_file.h"
#include "vmm/inspect/kernel_info.h"
#include "vmm/inspect/kernel_log.h"
#include "vmm/inspect/kernel_symbols.h"

namespace adyton::vmm::inspect {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr GuestPhysAddr kRam = 0x4000'0000;
constexpr uint64_t kRamSize = 0x20'0000, kImage = 0xffff'c000'0801'0000, kVoffset = kImage - kRam - 0x1'0000;
constexpr uint64_t kLinear = 0xffff'0000'0000'0000;

std::string layout() {
  return fmt::format(
      "OSRELEASE=6.1.0-test\nSYMBOL(_stext)={:x}\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)={:#x}\nNUMBER(PHYS_OFFSET)={:#x}\n",
      kImage, kVoffset, kRam);
}

class Inspect : public ::testing::Test {
 protected:
  Inspect() { EXPECT_TRUE(memory_.add_ram(kRam, kRamSize)); }
  // At an address of the image.
  template <typename T>
  void put(uint64_t va, const T& value) {
    ASSERT_TRUE(memory_.store(va - kVoffset, value)) << std::hex << va;
  }
  void put_text(uint64_t va, std::string_view text) {
    ASSERT_TRUE(memory_.write(va - kVoffset, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())));
  }
  void put_note(GuestPhysAddr at, const std::string& text, uint32_t size) {
    const uint32_t head[3] = {11, size, 0};
    ASSERT_TRUE(memory_.store(at, head));
    const std::string rest = std::string("VMCOREINFO\0\0", 12) + text;
    ASSERT_TRUE(memory_.write(at + 12, std::span(reinterpret_cast<const uint8_t*>(rest.data()), rest.size())));
  }

  GuestMemory memory_;
};

// ---- backtrace

class Backtrace : public Inspect {
 protected:
  void frame(uint64_t at, uint64_t next, uint64_t return_address) {
    ASSERT_TRUE(memory_.store(at, next));
    ASSERT_TRUE(memory_.store(at + 8, return_address));
  }
  std::vector<uint64_t> trace(uint64_t frame_pointer) {
    return backtrace(1, frame_pointer, [this](uint64_t va, std::span<uint8_t> out) { return memory_.read(va, out).has_value(); });
  }
};

TEST_F(Backtrace, FollowsTheChainToItsEnd) {
  frame(kRam, kRam + 0x100, 2);
  frame(kRam + 0x100, kRam + 0x40, 3);  // another stack
  frame(kRam + 0x40, 0, 4);
  EXPECT_THAT(trace(kRam), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(trace(0), ElementsAre(1));
}

TEST_F(Backtrace, GoesThroughAnExceptionOfALaterKernel) {
  frame(kRam, kRam + 0x1000, 2);
  frame(kRam + 0x1000, 0, 0);
  ASSERT_TRUE(memory_.store(kRam + 0x1010, uint64_t{2}));
  ASSERT_TRUE(memory_.store(kRam + 0x1000 - 64, uint64_t{kRam + 0x2000}));
  ASSERT_TRUE(memory_.store(kRam + 0x1000 - 40, uint64_t{5}));
  frame(kRam + 0x2000, 0, 6);
  EXPECT_THAT(trace(kRam), ElementsAre(1, 2, 5, 6));
}

TEST_F(Backtrace, EndsWhateverTheChainIs) {
  frame(kRam, kRam, 2);
  EXPECT_THAT(trace(kRam), ElementsAre(1, 2)) << "itself";
  frame(kRam, kRam + 16, 2);
  frame(kRam + 16, kRam, 0);
  EXPECT_THAT(trace(kRam), ElementsAre(1, 2)) << "a circle";
  EXPECT_THAT(trace(kRam + 1), ElementsAre(1)) << "not aligned";
  EXPECT_THAT(trace(kRam + kRamSize - 8), ElementsAre(1)) << "over the end";
  EXPECT_THAT(trace(UINT64_MAX - 7), ElementsAre(1));
  for (uint64_t i = 0; i < 1000; ++i) frame(kRam + 16 * i, kRam + 16 * (i + 1), i + 2);
  EXPECT_THAT(trace(kRam), SizeIs(kMaxFrames));
  for (uint64_t i = 0; i < 1000; ++i) frame(kRam + 16 * i, kRam + 16 * (i + 1), 0);
  EXPECT_THAT(trace(kRam), ElementsAre(1)) << "frames without return addresses";
}

// ---- VMCOREINFO

TEST_F(Inspect, FindsVmcoreinfoAndKnowsTheLayout) {
  EXPECT_FALSE(KernelInfo::find(memory_));
  put_note(kRam + 0x5000, layout(), static_cast<uint32_t>(layout().size()));
  const auto kernel = KernelInfo::find(memory_);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->text(), layout());
  EXPECT_EQ(kernel->release(), "6.1.0-test");
  EXPECT_EQ(kernel->symbol("_stext"), kImage);
  EXPECT_EQ(kernel->physical(kImage), kRam + 0x1'0000);
  EXPECT_EQ(kernel->physical(kLinear + 0x1234), kRam + 0x1234);
  EXPECT_EQ(kernel->linear(kRam + 0x1234), kLinear + 0x1234);
  EXPECT_EQ(kernel->physical(0x1000), std::nullopt);
  EXPECT_EQ(kernel->physical(kImage + (1ull << 32)), std::nullopt);
  EXPECT_EQ(KernelInfo("NUMBER(x)=-257\nNUMBER(y)=12z\nOFFSET(z)=\n").number("x"), uint64_t(-257));
  EXPECT_EQ(KernelInfo("NUMBER(y)=12z\n").number("y"), std::nullopt);
}

TEST_F(Inspect, NotesThatCannotBeArePassedBy) {
  put_note(kRam + 0x1000, layout(), 5000);             // too long
  put_note(kRam + 0x2000, "anything", 8);              // no release
  put_note(kRam + kRamSize - 0x1000, layout(), 4096);  // over the end
  EXPECT_FALSE(KernelInfo::find(memory_));
}

// ---- symbols

class Symbols : public Inspect {
 protected:
  static constexpr uint64_t kOffsets = kImage + 0x1000, kBase = kImage + 0x2000, kCount = kImage + 0x2010,
                            kNames = kImage + 0x3000, kTokens = kImage + 0x4000, kIndex = kImage + 0x8000;
  Symbols() {
    for (unsigned i = 0; i < 256; ++i) {
      put(kTokens + 2 * i, static_cast<uint8_t>(i));
      put(kIndex + 2 * i, static_cast<uint16_t>(2 * i));
    }
    put_text(kTokens + 0x300, "psci_");
    put(kIndex + 2 * 1, uint16_t{0x300});
    put(kBase, kImage);
    const uint32_t offsets[] = {0, 0x100, 0x100, 0x200};
    put(kOffsets, offsets);
    put(kCount, uint32_t{4});
    put_text(kNames, std::string_view("\x02Ta\x04T\x01go\x04Ttwo\x81\x00T", 16));
  }
  std::string resolve(uint64_t address, const std::string& change = "") {
    const KernelInfo kernel(
        layout() + change +
        fmt::format("SYMBOL(kallsyms_names)={:x}\nSYMBOL(kallsyms_num_syms)={:x}\nSYMBOL(kallsyms_token_table)={:x}\n"
                    "SYMBOL(kallsyms_token_index)={:x}\nSYMBOL(kallsyms_offsets)={:x}\nSYMBOL(kallsyms_relative_base)={:x}\n",
                    kNames, kCount, kTokens, kIndex, kOffsets, kBase));
    const uint64_t addresses[] = {address};
    const auto symbols = kernel_symbols(memory_, kernel, addresses);
    return symbols.empty() ? "" : fmt::format("{}+{:#x}", symbols.begin()->second.name, symbols.begin()->second.offset);
  }
};

TEST_F(Symbols, AreDecompressed) {
  EXPECT_EQ(resolve(kImage), "a+0x0");
  EXPECT_EQ(resolve(kImage + 0xff), "a+0xff");
  EXPECT_EQ(resolve(kImage + 0x108), "psci_go+0x8") << "the first of two at one place";
  EXPECT_EQ(resolve(kImage - 1), "");
  EXPECT_EQ(resolve(kImage + 0x4000'0000), "");
  EXPECT_EQ(resolve(kImage + 0x201), "") << "a name of nothing";
}

TEST_F(Symbols, TablesThatCannotBeAreLeft) {
  put(kCount, uint32_t{UINT32_MAX});
  EXPECT_EQ(resolve(kImage), "");
  put(kCount, uint32_t{4});
  EXPECT_EQ(resolve(kImage, fmt::format("SYMBOL(kallsyms_names)={:x}\n", kImage - 0x1000'0000)), "");
  const uint32_t falling[] = {0, 0x200, 0x100, 0x300};
  put(kOffsets, falling);
  EXPECT_EQ(resolve(kImage), "");
  put(kOffsets, uint64_t{0});
  put_text(kNames, "\x03T\x1b[");
  EXPECT_EQ(resolve(kImage), "") << "not printable";
}

// ---- the log

class Log : public Inspect {
 protected:
  static constexpr uint64_t kPrb = kImage + 0x1000, kRing = kImage + 0x1100, kDescs = kImage + 0x2000, kInfos = kImage + 0x3000,
                            kData = kImage + 0x4000;
  Log() {
    put(kPrb, kRing);
    put(kRing, uint32_t{2});  // four records
    put(kRing + 8, kDescs);
    put(kRing + 16, kInfos);
    put(kRing + 24, uint64_t{0});  // head
    put(kRing + 48, uint32_t{6});  // 64 bytes of text
    put(kRing + 56, kData);
  }
  void record(uint64_t id, uint64_t state, uint64_t begin, uint64_t next, std::string_view text, uint16_t length) {
    put(kRing + 24, id);
    put(kDescs + id % 4 * 24, state << 62 | id);
    put(kDescs + id % 4 * 24 + 8, begin);
    put(kDescs + id % 4 * 24 + 16, next);
    put(kInfos + id % 4 * 32 + 8, uint64_t{1'002'003'000});
    put(kInfos + id % 4 * 32 + 16, length);
    const bool wrapped = begin / 64 != next / 64 && next % 64 != 0;
    put_text(kData + (wrapped ? 0 : begin % 64) + 8, text);
  }
  std::string log(size_t most = 1000) {
    return kernel_log(
        memory_,
        KernelInfo(
            layout() + fmt::format("SYMBOL(prb)={:x}\n", kPrb) +
            "OFFSET(printk_ringbuffer.desc_ring)=0\nOFFSET(printk_ringbuffer.text_data_ring)=48\nOFFSET(prb_desc_ring.count_bits)"
            "=0\n"
            "OFFSET(prb_desc_ring.descs)=8\nOFFSET(prb_desc_ring.infos)=16\nOFFSET(prb_desc_ring.head_id)=24\nSIZE(prb_desc)=24\n"
            "OFFSET(prb_desc.state_var)=0\nOFFSET(prb_desc.text_blk_lpos)=8\nOFFSET(prb_data_blk_lpos.begin)=0\n"
            "OFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=32\nOFFSET(printk_info.ts_nsec)=8\nOFFSET(printk_info.text_len)="
            "16\n"
            "OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n"),
        most);
  }
};

TEST_F(Log, HasTheRecordsInTheirOrder) {
  record(4, 2, 88, 104, "one", 3);
  record(5, 1, 104, 120, "two\nl", 5);
  record(6, 0, 120, 120, "", 7);
  record(7, 2, 120, 128 + 24, "wraps", 5);
  EXPECT_EQ(log(), "[    1.002003] one\n[    1.002003] two\n[    1.002003] l\n[    1.002003] wraps\n");
  EXPECT_EQ(log(30), "[    1.002003] wraps\n");
}

TEST_F(Log, RecordsThatCannotBeArePassedBy) {
  record(1, 2, 0, 16, "fine", 4);
  record(2, 2, 17, 19, "no data", 7);
  record(3, 2, 32, 33, "shorter than its id", 19);
  EXPECT_EQ(log(), "[    1.002003] fine\n");
  record(1, 2, 0, 16, "a text longer than its block", 60);
  EXPECT_EQ(log(), "[    1.002003] a text l\n");
  put(kRing, uint32_t{31});
  EXPECT_EQ(log(), "");
}

// ---- the core

TEST_F(Inspect, TheCoreSaysWhereMemoryIs) {
  ASSERT_TRUE(memory_.add_ram(0, 0x10000));
  const KernelInfo kernel(layout());
  const auto image = kernel_image(memory_, kernel, [&](uint64_t va) -> std::optional<GuestPhysAddr> {
    if (va >= kImage + 0x2000 && va < kImage + 0x3000) return std::nullopt;  // given back
    return va < kImage + 0x5000 ? kernel.physical(va) : std::nullopt;
  });
  ASSERT_EQ(image.size(), 2u);
  EXPECT_EQ(image[1].va, kImage + 0x3000);
  EXPECT_EQ(image[1].size, 0x2000u);
  CoreVcpu vcpu;
  vcpu.general[32] = 0x1234;
  const CoreLayout core = core_layout(memory_, {vcpu, CoreVcpu{}}, &kernel, image);
  Elf64_Ehdr elf;
  ASSERT_GE(core.header.size(), sizeof elf);
  std::memcpy(&elf, core.header.data(), sizeof elf);
  EXPECT_EQ(elf.e_type, ET_CORE);
  EXPECT_EQ(elf.e_machine, EM_AARCH64);
  ASSERT_EQ(elf.e_phnum, 5);
  std::vector<Elf64_Phdr> parts(elf.e_phnum);
  std::memcpy(parts.data(), core.header.data() + elf.e_phoff, parts.size() * sizeof(Elf64_Phdr));
  EXPECT_EQ(parts[0].p_type, static_cast<uint32_t>(PT_NOTE));
  EXPECT_EQ(parts[0].p_offset + parts[0].p_filesz, core.header.size());
  uint64_t pc = 0;  // of the first NT_PRSTATUS
  std::memcpy(&pc, core.header.data() + parts[0].p_offset + 12 + 8 + 112 + 32 * 8, 8);
  EXPECT_EQ(pc, 0x1234u);
  EXPECT_EQ(parts[1].p_vaddr, 0u) << "firmware is not in the linear map";
  EXPECT_EQ(parts[2].p_vaddr, kLinear);
  EXPECT_EQ(parts[2].p_paddr, kRam);
  EXPECT_EQ(parts[3].p_vaddr, kImage);
  EXPECT_EQ(parts[3].p_paddr, kRam + 0x1'0000);
  EXPECT_EQ(parts[3].p_offset, parts[2].p_offset + 0x1'0000);
  // What crash goes by (8.0, is_netdump()): the first segment's p_align tells kdump from netdump, and its contents begin where the
  // headers end.
  for (size_t i = 1; i < parts.size(); ++i) EXPECT_EQ(parts[i].p_align, 0u) << i;
  EXPECT_LT(parts[1].p_offset, core.header.size() + 0x1000);
  EXPECT_EQ(core.size, parts[2].p_offset + kRamSize);
}

TEST_F(Inspect, WithoutAKernelAddressesArePhysical) {
  const CoreLayout core = core_layout(memory_, {CoreVcpu{}}, nullptr, {});
  Elf64_Phdr part;
  std::memcpy(&part, core.header.data() + sizeof(Elf64_Ehdr) + sizeof part, sizeof part);
  EXPECT_EQ(part.p_vaddr, kRam);
  EXPECT_EQ(part.p_paddr, kRam);
}

}  // namespace
}  // namespace adyton::vmm::inspect
