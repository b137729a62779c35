// The program `adyton-extcap`, which Wireshark and tshark run from their folder of extcap programs.
#include <string>
#include <vector>

#include "cli/capture.h"

int main(int argc, char** argv) { return adyton::cli::extcap(std::vector<std::string>(argv + (argc > 0), argv + argc)); }
