// The classic pcap format, by libpcap, with nanosecond stamps. It has neither names nor comments nor drops.
#pragma once
#include <memory>

#include "tools/capture/output.h"
#include "tools/capture/writer.h"

namespace adyton::capture {

class PcapWriter final : public Writer {
 public:
  static Result<std::unique_ptr<PcapWriter>> create(Output& output, uint32_t snaplen);
  ~PcapWriter() override;

  Result<void> add_interface(const Interface&) override { return {}; }
  Result<void> packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) override;
  Result<void> statistics(uint32_t, const Interface&) override { return {}; }
  Result<void> flush() override;

 private:
  struct File;  // libpcap's, on the output

  PcapWriter(Output& output, uint32_t snaplen, std::unique_ptr<File> file);

  Output& output_;
  const uint32_t snaplen_;
  std::unique_ptr<File> file_;
  std::vector<uint8_t> frame_;
};

}  // namespace adyton::capture
