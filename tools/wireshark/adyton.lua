-- Wireshark and tshark on vsock captures (link type 271), beyond what their own dissector shows: connections, packet types and
-- operations by their right names, and RpcBinder: sessions, calls, replies, arguments, errors, latencies.
--
-- Installed as a plugin, or: tshark -X lua_script:adyton.lua -r FILE
--
-- Interfaces are known by name from the wire. Names of methods and values of arguments need a map of the interfaces, which
-- `aidlc --interfacemap FILE` writes: name maps in the preference "RpcBinder: interface maps" (-o rpcbinder.maps:a.json;b.json).
-- The bytes of one connection: tshark -X lua_script:adyton.lua -X lua_script1:follow=3 -q -r FILE; in Wireshark: Tools, Adyton.
--
-- A capture is hostile input. All state is bounded: connections by kMaxStreams, a message by kMaxMessage, nesting by kMaxDepth,
-- list elements shown by kMaxElements.

local script_arguments = {...}

local kMaxStreams = 65536
local kMaxMessage = 1024 * 1024  -- AOSP's receivers take 100,000 bytes
local kMaxTries = 64             -- packets of a connection that may be the middle of an RpcBinder session
local kMaxPending = 64           -- calls of one connection that wait for their replies
local kMaxDepth = 16
local kMaxElements = 32
local kMaxFollow = 16 * 1024 * 1024

local kHeaders = 76
local kHostCid = "2"

-- ---- protocols, fields, preferences -------------------------------------------------------------------------------------

local vsock = Proto("adyton", "Adyton vsock")
local kTypes = {[1] = "stream", [2] = "seqpacket"}
local kOps = {[0] = "invalid", "request", "response", "reset", "shutdown", "data", "credit update", "credit request"}
local vf = {
  stream = ProtoField.uint32("adyton.stream", "Connection", base.DEC),
  type = ProtoField.uint16("adyton.type", "Type", base.DEC, kTypes),
  op = ProtoField.uint16("adyton.op", "Operation", base.DEC, kOps),
  from_host = ProtoField.bool("adyton.from_host", "From the host"),
  host_port = ProtoField.uint32("adyton.host_port", "Host port", base.DEC),
  guest_port = ProtoField.uint32("adyton.guest_port", "Guest port", base.DEC),
  offset = ProtoField.uint64("adyton.offset", "Offset in the direction's bytes", base.DEC),
  eom = ProtoField.bool("adyton.eom", "End of message"),
  eor = ProtoField.bool("adyton.eor", "End of record"),
  late = ProtoField.bool("adyton.began_before", "Began before the capture, or where packets were dropped"),
}
vsock.fields = {vf.stream, vf.type, vf.op, vf.from_host, vf.host_port, vf.guest_port, vf.offset, vf.eom, vf.eor, vf.late}

local rpc = Proto("rpcbinder", "RpcBinder")
local kCommands = {[0] = "TRANSACT", [1] = "REPLY", [2] = "DEC_STRONG"}
local kExceptions = {
  [0] = "EX_NONE", [-1] = "EX_SECURITY", [-2] = "EX_BAD_PARCELABLE", [-3] = "EX_ILLEGAL_ARGUMENT", [-4] = "EX_NULL_POINTER",
  [-5] = "EX_ILLEGAL_STATE", [-6] = "EX_NETWORK_MAIN_THREAD", [-7] = "EX_UNSUPPORTED_OPERATION", [-8] = "EX_SERVICE_SPECIFIC",
  [-9] = "EX_PARCELABLE", [-129] = "EX_TRANSACTION_FAILED",
}
local kSpecial = {[0] = "GET_ROOT", [1] = "GET_MAX_THREADS", [2] = "GET_SESSION_ID"}
local kCommon = {  -- transactions that every object knows
  [0x5f504e47] = "ping", [0x5f4e5446] = "getInterfaceDescriptor", [0x5f444d50] = "dump", [0x5f455854] = "getExtension",
  [0x5f504944] = "getDebugPid", [0x5f434d44] = "shellCommand", [0x5f535052] = "sysprops",
  [16777215] = "getInterfaceVersion", [16777214] = "getInterfaceHash",
}
local rf = {
  message = ProtoField.string("rpcbinder.message", "Message"),
  version = ProtoField.uint32("rpcbinder.version", "Version", base.DEC),
  options = ProtoField.uint8("rpcbinder.options", "Options", base.HEX),
  incoming = ProtoField.bool("rpcbinder.incoming", "For calls by the server"),
  fd_mode = ProtoField.uint8("rpcbinder.fd_mode", "Descriptors", base.DEC, {[0] = "none", [1] = "Unix", [2] = "Trusty"}),
  session_id = ProtoField.bytes("rpcbinder.session_id", "Session"),
  command = ProtoField.uint32("rpcbinder.command", "Command", base.DEC, kCommands),
  body_size = ProtoField.uint32("rpcbinder.body_size", "Bytes", base.DEC),
  cut = ProtoField.bool("rpcbinder.cut", "Cut short by the capture"),
  address = ProtoField.uint32("rpcbinder.address", "Object", base.DEC),
  code = ProtoField.uint32("rpcbinder.code", "Code", base.DEC),
  oneway = ProtoField.bool("rpcbinder.oneway", "Oneway"),
  async_number = ProtoField.uint64("rpcbinder.async_number", "Number among the object's oneway calls", base.DEC),
  interface = ProtoField.string("rpcbinder.interface", "Interface"),
  method = ProtoField.string("rpcbinder.method", "Method"),
  argument = ProtoField.string("rpcbinder.argument", "Argument"),
  result = ProtoField.string("rpcbinder.result", "Result"),
  status = ProtoField.int32("rpcbinder.status", "Status", base.DEC),
  exception = ProtoField.int32("rpcbinder.exception", "Exception", base.DEC, kExceptions),
  exception_text = ProtoField.string("rpcbinder.exception_message", "Exception's message"),
  service_error = ProtoField.int32("rpcbinder.service_error", "Service's own error", base.DEC),
  amount = ProtoField.uint32("rpcbinder.amount", "References", base.DEC),
  parcel = ProtoField.bytes("rpcbinder.parcel", "Parcel"),
  call_in = ProtoField.framenum("rpcbinder.call_in", "Call in", base.NONE, frametype.REQUEST),
  reply_in = ProtoField.framenum("rpcbinder.reply_in", "Reply in", base.NONE, frametype.RESPONSE),
  latency = ProtoField.double("rpcbinder.latency", "Seconds since the call"),
}
do  -- Proto.fields is set as a whole.
  local all = {}
  for _, field in pairs(rf) do all[#all + 1] = field end
  rpc.fields = all
end
local rx = {
  odd = ProtoExpert.new("rpcbinder.odd", "Not as the protocol has it", expert.group.MALFORMED, expert.severity.WARN),
  failed = ProtoExpert.new("rpcbinder.failed", "The call failed", expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
rpc.experts = {rx.odd, rx.failed}

rpc.prefs.ports = Pref.range("Ports", "", "Connections from or to these vsock ports are RpcBinder, whatever they look like", 0xffffffff)
rpc.prefs.heuristics = Pref.bool("Find by content", true, "Also connections whose first bytes are an RpcBinder connection header")
rpc.prefs.maps = Pref.string("Interface maps", "", "Files that aidlc --interfacemap has written, with ; between them")

-- ---- interface maps ----------------------------------------------------------------------------------------------------

-- JSON, as aidlc writes it. Errors are Lua errors.
local function parse_json(text)
  local at = 1
  local function space() at = text:find("%S", at) or #text + 1 end
  local value
  local function string_value()
    local parts = {}
    at = at + 1
    while true do
      local stop = text:find('["\\]', at)
      if not stop then error("a string does not end") end
      parts[#parts + 1] = text:sub(at, stop - 1)
      if text:sub(stop, stop) == '"' then
        at = stop + 1
        return table.concat(parts)
      end
      local escapes = {n = "\n", t = "\t", r = "\r", b = "\b", f = "\f"}
      local c = text:sub(stop + 1, stop + 1)
      if c == "u" then
        parts[#parts + 1] = "?"
        at = stop + 6
      else
        parts[#parts + 1] = escapes[c] or c
        at = stop + 2
      end
    end
  end
  local function sequence(close, element)
    at = at + 1
    space()
    if text:sub(at, at) == close then
      at = at + 1
      return
    end
    while true do
      element()
      space()
      local c = text:sub(at, at)
      at = at + 1
      if c == close then return end
      if c ~= "," then error("'" .. c .. "' where ',' or '" .. close .. "' was expected") end
      space()
    end
  end
  function value(depth)
    if depth > 32 then error("nested too deep") end
    space()
    local c = text:sub(at, at)
    if c == '"' then return string_value() end
    if c == "{" then
      local object = {}
      sequence("}", function()
        if text:sub(at, at) ~= '"' then error("a name was expected") end
        local name = string_value()
        space()
        if text:sub(at, at) ~= ":" then error("':' was expected") end
        at = at + 1
        object[name] = value(depth + 1)
      end)
      return object
    end
    if c == "[" then
      local list = {}
      sequence("]", function() list[#list + 1] = value(depth + 1) end)
      return list
    end
    local word = text:match("^[%w%.%+%-]+", at)
    if not word then error("'" .. c .. "' where a value was expected") end
    at = at + #word
    if word == "true" then return true end
    if word == "false" then return false end
    if word == "null" then return nil end
    return tonumber(word) or error("'" .. word .. "' is no value")
  end
  return value(0)
end

local interfaces = {}  -- by descriptor
local types = {}       -- by qualified name

local function load_map(path)
  local file, why = io.open(path, "rb")
  if not file then
    report_failure("Adyton: cannot read the interface map " .. path .. ": " .. tostring(why))
    return
  end
  local text = file:read("*a")
  file:close()
  local good, map = pcall(parse_json, text)
  if not good or type(map) ~= "table" or type(map.interfaces) ~= "table" then
    report_failure("Adyton: " .. path .. " is no interface map: " .. tostring(map))
    return
  end
  for descriptor, interface in pairs(map.interfaces) do interfaces[descriptor] = interface end
  for name, declared in pairs(map.types or {}) do types[name] = declared end
end

-- Where the map of Adyton's own interfaces may be, best first.
local function own_maps()
  local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
  if not folder then folder = "." end
  local places = {folder .. "/interfaces.json"}
  -- PREFIX/lib/TRIPLET/wireshark/plugins, or what the distribution has instead.
  local prefix = folder:match("^(.*)/lib/") or folder:match("^(.*)/lib64/")
  if prefix then places[#places + 1] = prefix .. "/share/adyton/interfaces.json" end
  places[#places + 1] = "/usr/local/share/adyton/interfaces.json"
  places[#places + 1] = "/usr/share/adyton/interfaces.json"
  return places
end

local loaded_maps = nil  -- the preference as it was then
local function load_maps()
  local wanted = rpc.prefs.maps or ""
  if loaded_maps == wanted then return end
  loaded_maps = wanted
  interfaces, types = {}, {}
  -- Adyton's own: of the build or the prefix that this file is of, or else of the system.
  for _, path in ipairs(own_maps()) do
    local own = io.open(path, "rb")
    if own then
      own:close()
      load_map(path)
      break
    end
  end
  for path in wanted:gmatch("[^;]+") do load_map(path) end
end

-- ---- parcels (AOSP: libs/binder/Parcel.cpp) ------------------------------------------------------------------------------

-- Reads from `tvb` between two offsets. Reading beyond the end is an error, which pcall() of the caller takes.
local Reader = {}
Reader.__index = Reader
local function new_reader(tvb, from, to) return setmetatable({tvb = tvb, at = from, stop = to}, Reader) end
function Reader:take(size)
  if size < 0 or size > self.stop - self.at then error("the parcel ends early", 0) end
  local range = self.tvb(self.at, size)
  self.at = self.at + size
  return range
end
function Reader:int() return self:take(4):le_int() end
function Reader:padded(size)
  local range = size > 0 and self:take(size) or nil
  local rest = (4 - size % 4) % 4
  if rest > 0 then self:take(rest) end
  return range
end
function Reader:string16()
  local length = self:int()
  if length == -1 then return nil end
  if length < 0 or length > kMaxMessage then error("a string of " .. length .. " characters", 0) end
  local range = self:padded(length * 2 + 2)
  return length > 0 and range(0, length * 2):le_ustring() or ""
end

local function quoted(text)
  if text == nil then return "null" end
  if #text > 200 then text = text:sub(1, 200) .. "..." end
  return '"' .. text:gsub('[%c"\\]', function(c) return c == '"' and '\\"' or c == "\\" and "\\\\" or string.format("\\x%02x", c:byte()) end) .. '"'
end

-- "com.example.Foo[]", "List<String>", "int[2][3]": what it is made of.
local function parse_type(text)
  text = text:gsub("@[%w_]+%b()%s*", ""):gsub("@[%w_]+%s*", "")
  local inner = text:match("^(.*)%[%d*%]$")
  if inner then
    -- The outermost dimension is written first.
    local head, first, rest = text:match("^([^%[]+)(%[%d*%])(.*)$")
    return {kind = "list", element = head .. rest}
  end
  local name, argument = text:match("^([%w_%.]+)<(.*)>$")
  if name == "List" then return {kind = "list", element = argument} end
  return {kind = "plain", name = name or text}
end

local kScalar = {
  boolean = function(r) return r:int() ~= 0 and "true" or "false" end,
  byte = function(r) return tostring(r:int()) end,
  char = function(r) return tostring(r:int()) end,
  int = function(r) return tostring(r:int()) end,
  long = function(r) return tostring(r:take(8):le_int64()) end,
  float = function(r) return string.format("%.9g", r:take(4):le_float()) end,
  double = function(r) return string.format("%.17g", r:take(8):le_float()) end,
  String = function(r) return quoted(r:string16()) end,
}

local function read_binder(r)
  local kind = r:int()
  local text
  if kind == 0 then
    text = "null"
  elseif kind == 1 then
    r:take(4)
    text = "object " .. r:take(4):le_uint()
  else
    error("an object of unknown kind " .. kind, 0)
  end
  r:int()  -- stability
  return text
end

local function read_fd(r)
  if r:int() ~= 2 then error("no descriptor where one was expected", 0) end
  return "descriptor " .. r:int()
end

-- A value as text. Unknown types are an error: nothing behind them can be read.
local read_value
function read_value(r, type_text, depth)
  if depth > kMaxDepth then error("nested too deep", 0) end
  local t = parse_type(type_text)
  if t.kind == "list" then
    local count = r:int()
    if count == -1 then return "null" end
    if count < 0 or count > kMaxMessage then error("a list of " .. count .. " elements", 0) end
    local declared = types[t.element]
    if t.element == "byte" or (declared and declared.kind == "enum" and declared.backing == "byte") then
      local bytes = r:padded(count)
      local text = bytes and tostring(bytes:bytes()) or ""
      return count .. " bytes" .. (count > 0 and ": " .. (#text > 64 and text:sub(1, 64) .. "..." or text) or "")
    end
    local shown = {}
    for i = 1, count do
      local element = read_value(r, t.element, depth + 1)
      if i <= kMaxElements then shown[i] = element end
    end
    if count > kMaxElements then shown[#shown + 1] = "... " .. count .. " in all" end
    return "[" .. table.concat(shown, ", ") .. "]"
  end
  local scalar = kScalar[t.name]
  if scalar then return scalar(r) end
  if t.name == "IBinder" then return read_binder(r) end
  if t.name == "FileDescriptor" then return read_fd(r) end
  if t.name == "ParcelFileDescriptor" then
    if r:int() == 0 then return "null" end
    r:int()
    return read_fd(r)
  end
  local declared = types[t.name]
  if not declared then error("the type " .. t.name .. " is not in the interface map", 0) end
  if declared.kind == "interface" then return read_binder(r) end
  if declared.kind == "enum" then
    local number = kScalar[declared.backing](r)
    return declared.values[number] or number
  end
  if declared.kind == "union" then
    if r:int() == 0 then return "null" end
    local tag = r:int()
    local field = declared.fields[tag + 1]
    if not field then error("unknown tag " .. tag .. " of " .. t.name, 0) end
    return "{" .. field.name .. ": " .. read_value(r, field.type, depth + 1) .. "}"
  end
  if declared.kind ~= "parcelable" then error("the type " .. t.name .. " is not defined in AIDL", 0) end
  if r:int() == 0 then return "null" end
  local start = r.at
  local size = r:int()
  if size < 4 or size > r.stop - start then error("a parcelable is larger than what holds it", 0) end
  local inside = new_reader(r.tvb, r.at, start + size)
  local shown = {}
  for _, field in ipairs(declared.fields) do
    if inside.at >= inside.stop then break end
    shown[#shown + 1] = field.name .. ": " .. read_value(inside, field.type, depth + 1)
  end
  r.at = start + size
  return "{" .. table.concat(shown, ", ") .. "}"
end

-- ---- state, made in the first pass over the packets ------------------------------------------------------------------------

local streams        -- by key: the one that is open
local stream_count
local gaps           -- by interface: how often packets were dropped
local packets        -- by frame number: what the first pass found
local versions       -- of sessions, by their ids
local follow = nil   -- which stream's bytes to collect
local followed, followed_bytes

local function reset_state()
  streams, gaps, packets, versions = {}, {}, {}, {}
  stream_count = 0
  followed, followed_bytes = {}, 0
end
reset_state()

function vsock.init()
  reset_state()
  load_maps()
end

local interface_id = Field.new("frame.interface_id")
local has_drops, drop_count = pcall(Field.new, "frame.drop_count")
if not has_drops then drop_count = nil end  -- an older Wireshark

local function new_stream(host_port, guest_port)
  local index = stream_count
  stream_count = stream_count + 1
  return {index = index, host_port = host_port, guest_port = guest_port, sent = {[true] = UInt64(0), [false] = UInt64(0)},
          opener = nil, rpc = nil, tries = 0}
end

-- ---- RpcBinder in a stream -----------------------------------------------------------------------------------------------

local function looks_like_connection_header(range)
  if range:len() < 16 then return false end
  local version = range(0, 4):le_uint()
  local id_size = range(14, 2):le_uint()
  return (version <= 16 or version == 0xf0000000) and range(4, 1):uint() <= 1 and range(5, 1):uint() <= 2 and
         range(6, 8):le_uint64() == UInt64(0) and (id_size == 0 or id_size == 32)
end

local function new_rpc(client_is_host)
  return {
    client = client_is_host,   -- which direction opened the connection
    version = 2,
    -- By direction: what of the handshake is to come; the beginning of a message whose rest is to come; how much of a message
    -- that was shown already is to come; whether it is not known where the next message begins.
    ways = {[client_is_host] = {expect = {{"connection", 16}}, skip = 0}, [not client_is_host] = {expect = {}, skip = 0}},
    pending = {[true] = {}, [false] = {}},  -- calls by direction, that wait for their replies
  }
end

-- Bytes are missing, and with them the place where the next message of this direction begins. Of calls that wait it is not known
-- which replies are theirs.
local function lose(state, way)
  way.expect, way.buffer, way.skip, way.lost = {}, nil, 0, true
  state.pending = {[true] = {}, [false] = {}}
end

-- How much of a message's parcel was captured, from its beginning.
local function parcel_captured(m) return math.max(0, math.min(m.parcel_size, m.have - m.parcel_at)) end

-- Whether the body of a message can be one, as far as it was captured (`have` of `size` bytes, from the header on). Of a
-- transaction or reply that tells it, also the version that it is of.
local function plausible_body(command, tvb, at, have, size)
  local function zero(from, to)
    for i = from, math.min(to, have) - 4, 4 do
      if tvb(at + i, 4):le_uint() ~= 0 then return false end
    end
    return true
  end
  if command == 2 then
    return size == 32 and zero(28, 32) and (have < 28 or tvb(at + 16, 4):le_uint() <= 3 and tvb(at + 24, 4):le_uint() > 0)
  end
  if command == 1 then
    if size >= 36 and zero(24, 36) then
      local parcel = have >= 24 and tvb(at + 20, 4):le_uint()
      if not parcel then return true end
      if parcel <= size - 36 and (size - 36 - parcel) % 4 == 0 and (parcel > 0 or size == 36) then return true, 2 end
    end
    -- Version 0 has a status and the parcel only.
    return size >= 20 and size % 4 == 0, 0
  end
  if size < 56 or not zero(44, 56) then return false end
  if have < 32 then return true end
  local options, address = tvb(at + 16, 4):le_uint(), tvb(at + 20, 4):le_uint()
  if options > 3 or (options == 0 and (address ~= 0 or tvb(at + 24, 4):le_uint() > 2)) then return false end
  if bit.band(tvb(at + 28, 4):le_uint(), bit.bnot(0x21)) ~= 0 then return false end
  if have < 44 then return true end
  local parcel = tvb(at + 40, 4):le_uint()
  if size == 56 then return parcel == 0 end
  if parcel == 0 then return size % 4 == 0, 0 end
  return parcel <= size - 56 and (size - 56 - parcel) % 4 == 0, 2
end

-- Whether messages begin with this packet, whose payload is `length` bytes at `at`, of which `have` were captured: RpcBinder
-- has no mark for that, but headers with zeros and sizes that have to fit. `certain`: they have to end with the packet, too. The
-- version that they are of is set if it is not known.
local function begins_message(state, tvb, at, have, length, certain)
  local version
  for checked = 0, kMaxElements do
    if have < (checked == 0 and 12 or 16) then
      -- What follows a good message was cut off, or is in the next packet.
      if checked == 0 or (certain and have == length) then return false end
      break
    end
    if length < 16 or tvb(at + 8, 4):le_uint() ~= 0 or (have >= 16 and tvb(at + 12, 4):le_uint() ~= 0) then return false end
    local command, size = tvb(at, 4):le_uint(), 16 + tvb(at + 4, 4):le_uint()
    if command > 2 or size > 16 + kMaxMessage then return false end
    if size > length and (certain or command == 2) then return false end
    local good, found = plausible_body(command, tvb, at, math.min(have, size), size)
    if not good then return false end
    if found and (command == 0 or not version) then version = found end
    if size >= length then break end
    at, have, length = at + size, math.max(0, have - size), length - size
  end
  if version and not state.version_known then state.version, state.version_known = version, true end
  return true
end

-- The size of the message that begins at `at`, or nil when too little of it is there to know. `needed`: bytes to have.
local function next_size(way, tvb, at, available, needed)
  local expected = way.expect[1]
  if expected then return expected[2], expected[1] end
  if available < needed then return nil end
  local command = tvb(at, 4):le_uint()
  local size = tvb(at + 4, 4):le_uint()
  if command > 2 or size > kMaxMessage then error("no RpcBinder message", 0) end
  return 16 + size, "command"
end

local function transact(state, from_host, m, tvb, at, size)
  if size < 56 then error("a transaction is cut short", 0) end
  local captured = m.have
  m.parcel_at = 56
  m.parcel_size = size - 56
  if captured >= 32 then
    m.address_options = tvb(at + 16, 4):le_uint()
    m.address = tvb(at + 20, 4):le_uint()
    m.code = tvb(at + 24, 4):le_uint()
    m.oneway = bit.band(tvb(at + 28, 4):le_uint(), 1) ~= 0
    if state.version >= 1 and captured >= 44 then m.parcel_size = tvb(at + 40, 4):le_uint() end
  end
  if m.parcel_size > size - 56 then error("a parcel is longer than its message", 0) end
  if not m.code then
    m.method = "?"
  elseif m.address == 0 and m.address_options == 0 then
    m.interface, m.method = "session", kSpecial[m.code] or ("code " .. m.code)
    m.special = true
  else
    if m.parcel_size >= 4 and not (kCommon[m.code] and m.code > 0xffffff) then
      local reader = new_reader(tvb, at + 56, at + 56 + parcel_captured(m))
      local good, token = pcall(reader.string16, reader)
      if good and token then
        m.interface = token
        m.arguments_at = reader.at - at
      end
    end
    local known = m.interface and interfaces[m.interface]
    local method = known and known.methods[tostring(m.code)]
    m.description = method
    m.method = method and method.name or kCommon[m.code] or ("code " .. m.code)
  end
  if not m.oneway then
    local waiting = state.pending[from_host]
    if #waiting >= kMaxPending then table.remove(waiting, 1) end
    waiting[#waiting + 1] = m
  end
end

local function answer(state, from_host, m, tvb, at, size)
  local fixed = state.version >= 1 and 20 or 4
  if size < 16 + fixed then error("a reply is cut short", 0) end
  m.status = m.have >= 20 and tvb(at + 16, 4):le_int() or nil
  m.parcel_at = 16 + fixed
  m.parcel_size = state.version >= 1 and m.have >= 24 and tvb(at + 20, 4):le_uint() or size - 16 - fixed
  if m.parcel_size > size - 16 - fixed then error("a parcel is longer than its message", 0) end
  local call = table.remove(state.pending[not from_host])
  if not call then return end
  m.call, call.reply_frame = call, m.frame
  m.latency = m.time and call.time and m.time - call.time
  if call.special and call.code == 2 and m.status == 0 and parcel_captured(m) >= 36 then
    versions[tostring(tvb(at + m.parcel_at + 4, 32):bytes())] = state.version
  end
end

local frame_time = Field.new("frame.time_epoch")

-- One message, in the first pass. `tvb` has it at `at`; or, if it was cut, its first `have` bytes.
local function on_message(state, from_host, kind, tvb, at, have, size, pinfo)
  local time = frame_time()
  local m = {kind = kind, from_host = from_host, size = size, have = have, frame = pinfo.number, time = time and time.value}
  local server = not state.client
  if kind ~= "command" then
    table.remove(state.ways[from_host].expect, 1)
    if have < size then return m end
  end
  if kind == "connection" then
    if not looks_like_connection_header(tvb(at, size)) then error("no RpcBinder connection header", 0) end
    m.version = tvb(at, 4):le_uint()
    m.incoming = bit.band(tvb(at + 4, 1):uint(), 1) ~= 0
    state.version = math.min(m.version, 2)
    local caller = state.client
    if m.incoming then caller = server end
    if tvb(at + 14, 2):le_uint() == 32 then
      table.insert(state.ways[state.client].expect, {"session id", 32})
    else
      table.insert(state.ways[server].expect, {"new session", 8})
    end
    table.insert(state.ways[caller].expect, {"connection init", 8})
  elseif kind == "session id" then
    m.session_id = true
    state.version = versions[tostring(tvb(at, 32):bytes())] or state.version
  elseif kind == "new session" then
    state.version = math.min(tvb(at, 4):le_uint(), 2)
  elseif kind == "command" then
    m.command = tvb(at, 4):le_uint()
    if m.command == 0 then
      transact(state, from_host, m, tvb, at, size)
    elseif m.command == 1 then
      answer(state, from_host, m, tvb, at, size)
    elseif size < 32 then
      error("a DEC_STRONG is cut short", 0)
    end
  end
  return m
end

-- Takes a packet's payload apart, `length` bytes of which the first `have` were captured. Adds the messages that end in it, or
-- that were cut here, to `found`: where they are in the packet, or their bytes.
local function feed(state, from_host, tvb, at, have, length, pinfo, found)
  local way = state.ways[from_host]
  if way.skip > 0 then
    local skipped = math.min(way.skip, length)
    way.skip = way.skip - skipped
    if skipped == length then return end
    if skipped > have then return lose(state, way) end
    at, have, length = at + skipped, have - skipped, length - skipped
  end
  if way.lost then
    if not begins_message(state, tvb, at, have, length) then return end
    way.lost = nil
  end
  local missing = length - have
  local buffer = way.buffer
  local data, offset, stop = tvb, at, at + have
  if buffer then
    if have > 0 then buffer:append(tvb(at, have):bytes()) end
    if buffer:len() > kMaxMessage + 64 then error("a message is too long", 0) end
    data, offset, stop = buffer:tvb("RpcBinder message"), 0, buffer:len()
  end
  while offset < stop do
    -- Command and size are the first 8 bytes: enough when there will not be more.
    local size, kind = next_size(way, data, offset, stop - offset, missing > 0 and 8 or 16)
    if not size then break end
    local captured = math.min(size, stop - offset)
    local to_come = size - captured
    if to_come > 0 and missing == 0 then break end
    local m = on_message(state, from_host, kind, data, offset, captured, size, pinfo)
    if buffer then
      m.bytes = data(offset, captured):bytes()
    else
      m.offset = offset
    end
    found[#found + 1] = m
    offset = offset + captured
    if to_come > 0 then
      if to_come < missing then break end
      -- The message goes on to the end of the packet at least: where it ends is known.
      way.buffer, way.skip = nil, to_come - missing
      return
    end
  end
  if missing > 0 then return lose(state, way) end
  way.buffer = offset < stop and data(offset, stop - offset):bytes() or nil
end

-- ---- what is shown of a message -----------------------------------------------------------------------------------------

local function short_name(interface) return interface and (interface:match("([^%.]+)$") or interface) or "object" end

local function show_values(tree, reader, list, field, out, cut)
  for _, entry in ipairs(list) do
    local from = reader.at
    local good, value = pcall(read_value, reader, entry.type, 0)
    if not good then
      if not cut then tree:add_proto_expert_info(rx.odd, entry.name .. ": " .. tostring(value)) end
      out[#out + 1] = cut and "..." or "?"
      return
    end
    local text = (entry.name ~= "" and entry.name .. " = " or "") .. value
    tree:add(field, reader.tvb(from, reader.at - from), text)
    out[#out + 1] = text
  end
end

local function show_transaction(tree, tvb, at, m)
  if m.reply_frame then tree:add(rf.reply_in, m.reply_frame):set_generated() end
  if not m.code then return "call" end
  tree:add_le(rf.address, tvb(at + 20, 4))
  tree:add_le(rf.code, tvb(at + 24, 4))
  tree:add(rf.oneway, tvb(at + 28, 4), m.oneway)
  if m.oneway and m.have >= 40 then tree:add_le(rf.async_number, tvb(at + 32, 8)) end
  if m.interface then tree:add(rf.interface, tvb(at + m.parcel_at, (m.arguments_at or m.parcel_at) - m.parcel_at), m.interface) end
  tree:add(rf.method, tvb(at + 24, 4), m.method)
  local parcel = parcel_captured(m)
  if parcel > 0 then tree:add(rf.parcel, tvb(at + m.parcel_at, parcel)) end
  local shown = {}
  if m.description and m.arguments_at then
    local reader = new_reader(tvb, at + m.arguments_at, at + m.parcel_at + parcel)
    local ins = {}
    for _, argument in ipairs(m.description.arguments) do
      if argument.direction ~= "out" then
        ins[#ins + 1] = argument
      elseif argument.type:match("%[%]$") then
        ins[#ins + 1] = {name = argument.name .. ".length", type = "int"}  -- room for what comes back
      end
    end
    show_values(tree, reader, ins, rf.argument, shown, m.have < m.size)
  elseif m.parcel_size > (m.arguments_at or m.parcel_at) - m.parcel_at and not m.special then
    shown[1] = "..."
  end
  return (m.oneway and "oneway " or "call ") .. (m.special and "" or short_name(m.interface) .. ".") .. m.method .. "(" .. table.concat(shown, ", ") .. ")"
end

local function show_special_reply(tree, tvb, at, m)
  local reader = new_reader(tvb, at + m.parcel_at, at + m.parcel_at + parcel_captured(m))
  local good, text = pcall(function()
    local from = reader.at
    if m.call.code == 0 then return read_binder(reader) end
    if m.call.code == 1 then return tostring(reader:int()) end
    reader:int()
    tree:add(rf.session_id, reader:take(32))
    return "session " .. tostring(tvb(from + 4, 4):bytes()):lower() .. "..."
  end)
  if good then tree:add(rf.result, tvb(at + m.parcel_at, parcel_captured(m)), text) end
  return good and text or "?"
end

local function show_reply(tree, tvb, at, m)
  if m.status then tree:add_le(rf.status, tvb(at + 16, 4)) end
  local name = "reply"
  if m.call then
    tree:add(rf.call_in, m.call.frame):set_generated()
    if m.call.interface then tree:add(rf.interface, m.call.interface):set_generated() end
    if m.call.code then tree:add(rf.method, m.call.method):set_generated() end
    if m.call.code then name = "reply " .. (m.call.special and "" or short_name(m.call.interface) .. ".") .. m.call.method end
  end
  local suffix = ""
  if m.latency then
    local seconds = tonumber(tostring(m.latency)) or 0
    tree:add(rf.latency, seconds):set_generated()
    suffix = string.format(" (%.3f ms)", seconds * 1000)
  end
  if not m.status then return name .. suffix end
  if m.status ~= 0 then
    tree:add_proto_expert_info(rx.failed, "status " .. m.status)
    return name .. " failed: status " .. m.status .. suffix
  end
  local parcel = parcel_captured(m)
  if parcel > 0 then tree:add(rf.parcel, tvb(at + m.parcel_at, parcel)) end
  if m.call and m.call.special then return name .. " = " .. show_special_reply(tree, tvb, at, m) .. suffix end
  if m.call and (m.call.code or 0) > 0xffffff then return name .. suffix end
  local reader = new_reader(tvb, at + m.parcel_at, at + m.parcel_at + parcel)
  local from = reader.at
  local good, exception = pcall(reader.int, reader)
  if not good then return name .. suffix end
  tree:add_le(rf.exception, tvb(from, 4))
  if exception ~= 0 then
    local text = kExceptions[exception] or ("exception " .. exception)
    local whole = pcall(function()
      local at_message = reader.at
      local message = reader:string16()
      if message then
        tree:add(rf.exception_text, tvb(at_message, reader.at - at_message), message)
        text = text .. ": " .. quoted(message)
      end
      local trace = reader:int()
      if trace > 0 then reader:take(trace) end
      if exception == -8 then
        tree:add_le(rf.service_error, tvb(reader.at, 4))
        text = text .. ", error " .. reader:int()
      end
    end)
    tree:add_proto_expert_info(rx.failed, text)
    return name .. " failed: " .. text .. suffix
  end
  local shown = {}
  local description = m.call and m.call.description
  if description then
    local outs = {}
    if description.result ~= "void" then outs[1] = {name = "", type = description.result} end
    for _, argument in ipairs(description.arguments) do
      if argument.direction ~= "in" then outs[#outs + 1] = argument end
    end
    show_values(tree, reader, outs, rf.result, shown, m.have < m.size)
  end
  return name .. (#shown > 0 and " = " .. table.concat(shown, ", ") or "") .. suffix
end

local function show_message(root, packet_tvb, m)
  local tvb, at = packet_tvb, m.offset
  if m.bytes then tvb, at = m.bytes:tvb("RpcBinder message"), 0 end
  local tree = root:add(rpc, tvb(at, m.have))
  local cut = m.have < m.size
  local text
  if cut and m.kind ~= "command" then
    text = m.kind
  elseif m.kind == "connection" then
    tree:add_le(rf.version, tvb(at, 4))
    tree:add(rf.options, tvb(at + 4, 1))
    tree:add(rf.incoming, tvb(at + 4, 1), m.incoming)
    tree:add(rf.fd_mode, tvb(at + 5, 1))
    text = (tvb(at + 14, 2):le_uint() == 0 and "new session" or "connection of a session") .. ", version " .. m.version ..
           (m.incoming and ", for calls by the server" or "")
  elseif m.kind == "session id" then
    tree:add(rf.session_id, tvb(at, 32))
    text = "session " .. tostring(tvb(at, 4):bytes()):lower() .. "..."
  elseif m.kind == "new session" then
    tree:add_le(rf.version, tvb(at, 4))
    text = "session accepted, version " .. tvb(at, 4):le_uint()
  elseif m.kind == "connection init" then
    text = "connection ready"
  else
    tree:add_le(rf.command, tvb(at, 4))
    tree:add_le(rf.body_size, tvb(at + 4, 4))
    if m.command == 0 then
      text = show_transaction(tree, tvb, at, m)
    elseif m.command == 1 then
      text = show_reply(tree, tvb, at, m)
    elseif m.have < 28 then
      text = "release object"
    else
      tree:add_le(rf.address, tvb(at + 20, 4))
      tree:add_le(rf.amount, tvb(at + 24, 4))
      text = "release object " .. tvb(at + 20, 4):le_uint()
    end
  end
  if cut then
    text = text .. ", cut short"
    tree:add(rf.cut, true):set_generated()
  end
  tree:add(rf.message, tvb(at, m.have), text)
  tree:set_text("RpcBinder: " .. text)
  return text
end

-- ---- packets -----------------------------------------------------------------------------------------------------------

local function is_rpc_port(port)
  -- A Pref.range arrives as text, "5000,6000-6010".
  for part in tostring(rpc.prefs.ports or ""):gmatch("[^,]+") do
    local first, last = part:match("^%s*(%d+)%s*%-?%s*(%d*)%s*$")
    if first and port >= tonumber(first) and port <= tonumber(last ~= "" and last or first) then return true end
  end
  return false
end

-- The packet's connection. nil: one too many.
local function stream_of(p, interface)
  local key = table.concat({interface, p.guest_cid, p.host_port, p.guest_port, p.type}, "/")
  local stream = streams[key]
  -- After its end there is more to come of a connection: the reset that answers a reset, credit for what was on its way. Not so
  -- with data or a response: there a new one has begun, whose request is missing.
  if not stream or p.op == 1 or (stream.closed and (p.op == 2 or p.op == 5)) then
    if stream_count >= kMaxStreams then return nil end
    stream = new_stream(p.host_port, p.guest_port)
    streams[key] = stream
    stream.late = p.op ~= 1
    stream.gaps = gaps[interface]
    if p.op == 1 then stream.opener = p.from_host end
    if p.op == 2 then stream.opener = not p.from_host end
  end
  if p.op == 3 then stream.closed = true end
  return stream
end

-- The state of RpcBinder for a stream of which there is none yet, at a packet's data: `length` bytes, of which the first `have`
-- were captured. false: it is something else. nil: that is not known yet.
local function find_rpc(stream, p, tvb, have, length, first)
  local forced = is_rpc_port(p.host_port) or is_rpc_port(p.guest_port)
  if not forced and not rpc.prefs.heuristics then return false end
  local opener = stream.opener
  -- Where the beginning is missing, it may be in the middle of a session.
  if have < math.min(length, 16) then stream.gap = true end
  local middle = opener == nil or stream.gap or not first
  if middle then
    local state = new_rpc(p.from_host)
    for _, way in pairs(state.ways) do lose(state, way) end
    if begins_message(state, tvb, kHeaders, have, length, not forced) then return state end
  end
  if first and opener == p.from_host and have >= 16 and looks_like_connection_header(tvb(kHeaders, have)) then
    return new_rpc(p.from_host)
  end
  if middle then
    stream.tries = stream.tries + 1
    if forced or stream.tries < kMaxTries then return nil end
    return false
  end
  return forced and new_rpc(opener)
end

local function first_pass(tvb, pinfo, p)
  local interface, dropped = interface_id(), drop_count and drop_count()
  interface = interface and tostring(interface) or ""
  if dropped and dropped.value > UInt64(0) then gaps[interface] = (gaps[interface] or 0) + 1 end
  local stream = stream_of(p, interface)
  if not stream then return {} end
  if stream.gaps ~= gaps[interface] then
    -- Any connection's packets may be among those that were dropped.
    stream.gaps, stream.gap = gaps[interface], true
    if stream.rpc then
      for _, way in pairs(stream.rpc.ways) do lose(stream.rpc, way) end
    end
  end
  local result = {stream = stream.index, offset = stream.sent[p.from_host], late = stream.late}
  if p.op ~= 5 or p.length == 0 then return result end
  local have, length = tvb:len() - kHeaders, tvb:reported_len() - kHeaders
  local first = stream.sent[p.from_host] == UInt64(0)
  stream.sent[p.from_host] = stream.sent[p.from_host] + UInt64(p.length)
  if have > 0 and follow == stream.index and followed_bytes < kMaxFollow then
    followed[#followed + 1] = {from_host = p.from_host, bytes = tvb(kHeaders, have):raw()}
    followed_bytes = followed_bytes + have
  end
  if p.type == 1 and stream.rpc == nil then stream.rpc = find_rpc(stream, p, tvb, have, length, first) end
  if stream.rpc then
    result.messages, result.rpc = {}, true
    local good, why = pcall(feed, stream.rpc, p.from_host, tvb, kHeaders, have, length, pinfo, result.messages)
    if not good then
      result.problem = tostring(why)
      lose(stream.rpc, stream.rpc.ways[p.from_host])
    end
  end
  return result
end

local original = Dissector.get("vsock")

function vsock.dissector(tvb, pinfo, root)
  -- Only virtio's packets: the monitor's header says what follows it.
  if tvb:len() < kHeaders or tvb(26, 2):le_uint() ~= 2 or tvb(28, 2):le_uint() ~= 44 then
    original:call(tvb, pinfo, root)
    return
  end
  local p = {
    from_host = tostring(tvb(32, 8):le_uint64()) == kHostCid,
    length = tvb(56, 4):le_uint(),
    type = tvb(60, 2):le_uint(),
    op = tvb(62, 2):le_uint(),
    flags = tvb(64, 4):le_uint(),
  }
  p.guest_cid = tostring(p.from_host and tvb(40, 8):le_uint64() or tvb(32, 8):le_uint64())
  p.host_port = p.from_host and tvb(48, 4):le_uint() or tvb(52, 4):le_uint()
  p.guest_port = p.from_host and tvb(52, 4):le_uint() or tvb(48, 4):le_uint()
  if not pinfo.visited or not packets[pinfo.number] then packets[pinfo.number] = first_pass(tvb, pinfo, p) end
  local known = packets[pinfo.number]
  -- Wireshark's own dissector leaves ours, too, where a packet was cut: it gets one that ends there.
  original:call(tvb:len() < tvb:reported_len() and tvb(0, tvb:len()):tvb() or tvb, pinfo, root)

  local tree = root:add(vsock, tvb(32, 44))
  if known.stream then tree:add(vf.stream, known.stream):set_generated() end
  if known.late then tree:add(vf.late, true):set_generated() end
  tree:add_le(vf.type, tvb(60, 2))
  tree:add_le(vf.op, tvb(62, 2))
  tree:add(vf.from_host, p.from_host):set_generated()
  tree:add_le(vf.host_port, p.from_host and tvb(48, 4) or tvb(52, 4))
  tree:add_le(vf.guest_port, p.from_host and tvb(52, 4) or tvb(48, 4))
  if p.op == 5 and known.offset then tree:add(vf.offset, known.offset):set_generated() end
  if p.type == 2 and p.op == 5 then
    tree:add(vf.eom, tvb(64, 4), bit.band(p.flags, 1) ~= 0)
    tree:add(vf.eor, tvb(64, 4), bit.band(p.flags, 2) ~= 0)
  end
  local summary = (kTypes[p.type] or ("type " .. p.type)) .. " " .. (kOps[p.op] or ("op " .. p.op))
  if p.op == 5 then summary = summary .. ", " .. p.length .. " bytes" end
  tree:append_text(": " .. summary)
  pinfo.cols.protocol:set("VSOCK")
  local source = p.from_host and ("host:" .. p.host_port) or ("guest:" .. p.guest_port)
  local target = p.from_host and ("guest:" .. p.guest_port) or ("host:" .. p.host_port)
  pinfo.cols.info:set(source .. " > " .. target .. " " .. summary)

  if known.problem then tree:add_proto_expert_info(rx.odd, known.problem) end
  if known.rpc then pinfo.cols.protocol:set("RpcBinder") end
  if known.messages and #known.messages > 0 then
    local texts = {}
    for i, m in ipairs(known.messages) do texts[i] = show_message(root, tvb, m) end
    pinfo.cols.info:set(source .. " > " .. target .. " " .. table.concat(texts, "; "))
  elseif known.rpc and not known.problem then
    pinfo.cols.info:append(" (part of a message)")
  end
end

DissectorTable.get("wtap_encap"):add(wtap.VSOCK or 185, vsock)

-- ---- the bytes of one connection ------------------------------------------------------------------------------------------

local function follow_text()
  local parts = {}
  for _, piece in ipairs(followed) do
    parts[#parts + 1] = (piece.from_host and "host > guest, " or "guest > host, ") .. #piece.bytes .. " bytes\n"
    for at = 1, #piece.bytes, 16 do
      local line = piece.bytes:sub(at, at + 15)
      local hex = line:gsub(".", function(c) return string.format("%02x ", c:byte()) end)
      parts[#parts + 1] = string.format("  %08x  %-48s %s\n", at - 1, hex, (line:gsub("[^\x20-\x7e]", ".")))
    end
  end
  if followed_bytes >= kMaxFollow then parts[#parts + 1] = "(no more than " .. kMaxFollow .. " bytes are shown)\n" end
  return table.concat(parts)
end

for _, argument in ipairs(script_arguments) do
  local number = tostring(argument):match("^follow=(%d+)$")
  if number then
    follow = tonumber(number)
    local listener = Listener.new("frame")
    function listener.draw() io.write(follow_text()) end
  end
end

if gui_enabled() then
  -- A tap sees all packets once more. To load them again instead would close the window that is to show them.
  local function show_connection(number)
    followed, followed_bytes = {}, 0
    local tap = Listener.new("frame")
    function tap.packet(pinfo, tvb)
      local known, length = packets[pinfo.number], tvb:len() - kHeaders
      if not known or known.stream ~= number or length <= 0 or tvb(62, 2):le_uint() ~= 5 or followed_bytes >= kMaxFollow then return end
      followed[#followed + 1] = {from_host = tostring(tvb(32, 8):le_uint64()) == kHostCid, bytes = tvb(kHeaders, length):raw()}
      followed_bytes = followed_bytes + length
    end
    retap_packets()
    tap:remove()
    local window = TextWindow.new("vsock connection " .. number)
    window:set(followed_bytes > 0 and follow_text() or "No bytes of it were captured.\n")
  end

  register_menu("Adyton/Follow vsock connection", function()
    new_dialog("Follow a vsock connection", function(text)
      local number = tonumber(text)
      if number then show_connection(number) end
    end, "Number (adyton.stream)")
  end, MENU_TOOLS_UNSORTED)
end
