// What Wireshark says to a capture program and hears from it (its manual: extcap(4)): the arguments, and the sentences on
// standard output. Pure: no processes, no files.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace adyton::capture {

enum class ExtcapAction : uint8_t {
  kInterfaces,   // which interfaces are there?
  kLinkTypes,    // and what comes out of this one?
  kConfig,       // what can be chosen for it?
  kCheckFilter,  // is this capture filter good?
  kCapture,      // go
  kVersion,
  kHelp,
};

struct ExtcapCommand {
  ExtcapAction action = ExtcapAction::kHelp;
  std::string vm;               // of the interface
  std::string fifo;             // kCapture
  std::vector<uint32_t> ports;  // of --port and of the capture filter; none: all
  uint32_t snaplen = 0;         // bytes; 0: whole packets
  std::string filter_error;     // kCheckFilter: what is wrong with it; empty: nothing
};

// `arguments` without the program's name; any bytes. Options that later versions of Wireshark may add are passed over. Fails with
// a sentence for the user.
Result<ExtcapCommand> parse_extcap(const std::vector<std::string>& arguments);
// The pipe at which somebody waits for a capture, also where parse_extcap() refuses what was asked for; empty: nobody does.
std::string waiting_fifo(const std::vector<std::string>& arguments);

// "adyton-NAME", as `tshark -i` has it.
std::string interface_of(std::string_view vm);

// Answers. Names in them that would break a sentence are left out.
std::string extcap_interfaces(const std::vector<std::string>& vms, std::string_view version);
std::string extcap_link_types();
std::string extcap_config();

// "5000", "5000,6000": at most 64 ports.
Result<std::vector<uint32_t>> parse_port_list(std::string_view text);
// "port 5000 or port 6000": at most 64 ports; empty: all.
Result<std::vector<uint32_t>> parse_capture_filter(std::string_view text);

}  // namespace adyton::capture
