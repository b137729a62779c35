// A guest's memory as crash reports read it: VMCOREINFO with any numbers, and any bytes where they lead.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "fuzz/fuzz_input.h"
#include "vmm/inspect/backtrace.h"
#include "vmm/inspect/core_file.h"
#include "vmm/inspect/kernel_log.h"
#include "vmm/inspect/kernel_symbols.h"

using adyton::fuzz::FuzzInput;
using adyton::fuzz::require;
using namespace adyton;
using namespace adyton::vmm::inspect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr GuestPhysAddr kRam = 0x4000'0000;
  constexpr uint64_t kSize = 0x1'0000, kImage = 0xffff'c000'0000'0000;
  // clang-format off
  static constexpr std::string_view kKeys[] = {
      "SYMBOL(prb)", "SYMBOL(kallsyms_names)", "SYMBOL(kallsyms_num_syms)", "SYMBOL(kallsyms_token_table)", "SYMBOL(kallsyms_token_index)",
      "SYMBOL(kallsyms_offsets)", "SYMBOL(kallsyms_relative_base)"};
  static constexpr std::string_view kSmall[] = {
      "OFFSET(printk_ringbuffer.desc_ring)", "OFFSET(printk_ringbuffer.text_data_ring)", "OFFSET(prb_desc_ring.count_bits)",
      "OFFSET(prb_desc_ring.descs)", "OFFSET(prb_desc_ring.infos)", "OFFSET(prb_desc_ring.head_id)", "SIZE(prb_desc)", "OFFSET(prb_desc.state_var)",
      "OFFSET(prb_desc.text_blk_lpos)", "OFFSET(prb_data_blk_lpos.begin)", "OFFSET(prb_data_blk_lpos.next)", "SIZE(printk_info)",
      "OFFSET(printk_info.ts_nsec)", "OFFSET(printk_info.text_len)", "OFFSET(prb_data_ring.size_bits)", "OFFSET(prb_data_ring.data)"};
  // clang-format on
  FuzzInput input(data, size);
  GuestMemory memory;
  require(memory.add_ram(kRam, kSize).has_value());
  std::string text = fmt::format(
      "OSRELEASE=fuzz\nSYMBOL(_stext)={:x}\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)={:#x}\nNUMBER(PHYS_OFFSET)={:#x}\n",
      kImage, kImage - kRam, kRam);
  for (const std::string_view key : kKeys) text += fmt::format("{}={:x}\n", key, kImage + 8 * input.below(512));
  for (const std::string_view key : kSmall) text += fmt::format("{}={}\n", key, input.below(16) * 4);
  for (unsigned words = 0; !input.empty() && words < 512; ++words) {
    const uint64_t at = kRam + 8 * input.below(512);
    const uint64_t value = input.below(2)   ? kImage + 8 * input.below(512)
                           : input.below(2) ? input.below(64)
                                            : input.take<uint64_t>();
    require(memory.store(at, value).has_value());
  }
  const KernelInfo kernel(text);
  const auto read = [&](uint64_t va, std::span<uint8_t> out) { return kernel.read(memory, va, out); };
  const auto frames = backtrace(kImage, kImage + 8 * input.below(512), read);
  require(!frames.empty() && frames.size() <= kMaxFrames);
  for (const auto& [address, symbol] : kernel_symbols(memory, kernel, frames)) {
    require(std::ranges::find(frames, address) != frames.end());
    require(std::ranges::all_of(symbol.name, [](char c) { return c > ' ' && c <= '~'; }));
  }
  require(kernel_log(memory, kernel, 2000).size() <= 2000);
  const auto image = kernel_image(memory, kernel, [&](uint64_t va) { return kernel.physical(va); });
  require(core_layout(memory, {}, &kernel, image).size < (1u << 20));
  return 0;
}
