// One line per packet, for people, as tcpdump has them:
//
//   10:43:12.123456789 demo 3.1024 > 2.5000: stream data, length 81
//
// A guest decides what most of it says: only numbers and words of ours are printed, and payload as hexadecimal or with dots for
// what is not printable.
#pragma once
#include <string>
#include <vector>

#include "tools/capture/output.h"
#include "tools/capture/writer.h"

namespace adyton::capture {

class TextWriter final : public Writer {
 public:
  struct Style {
    bool verbose = false;  // credits and flags
    bool dump = false;     // the payload, in hexadecimal and ASCII
    bool names = true;     // of the virtual machines: useful when there are several
  };
  TextWriter(Output& output, Style style) : output_(output), style_(style) {}

  Result<void> add_interface(const Interface& interface) override;
  Result<void> packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) override;
  Result<void> statistics(uint32_t, const Interface&) override { return {}; }
  Result<void> flush() override { return output_.flush(); }

 private:
  Output& output_;
  const Style style_;
  std::vector<std::string> names_;
};

// "3.1024 > 2.5000: stream data, length 81"
std::string packet_text(const Packet& packet, bool verbose);

}  // namespace adyton::capture
