// The pcapng format (draft-ietf-opsawg-pcapng): a section header, an interface per VM, an enhanced packet block per packet with
// comments, directions and drops, and interface statistics at the end. Nanosecond stamps.
#pragma once
#include <string>
#include <vector>

#include "tools/capture/output.h"
#include "tools/capture/writer.h"

namespace adyton::capture {

class PcapngWriter final : public Writer {
 public:
  // `application`: what made the file, "adyton 0.1.0". `snaplen`: bytes of each packet to keep, from 1.
  PcapngWriter(Output& output, std::string application, uint32_t snaplen)
      : output_(output), application_(std::move(application)), snaplen_(snaplen) {}

  Result<void> add_interface(const Interface& interface) override;
  Result<void> packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) override;
  Result<void> statistics(uint32_t interface, const Interface& totals) override;
  Result<void> flush() override { return output_.flush(); }

 private:
  class Block;

  Result<void> write(Block& block);

  Output& output_;
  const std::string application_;
  const uint32_t snaplen_;
  bool section_ = false;  // its header is written
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> frame_;
};

}  // namespace adyton::capture
