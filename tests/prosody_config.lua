-- Prosody's own configmanager reads a file; what it made of it is printed as JSON. Functions are left out.
package.path = "/usr/lib/prosody/?.lua;" .. package.path
package.cpath = "/usr/lib/prosody/?.so;" .. package.cpath
CFG_CONFIGDIR = arg[1]:match("^(.*)/[^/]*$")
prosody = { paths = { config = CFG_CONFIGDIR }, platform = "posix", version = "0.12.3" }
local config = require "core.configmanager"
local ok, where, why = config.load(arg[1])
if not ok then
	io.stderr:write(tostring(where), " ", tostring(why), "\n")
	os.exit(4)
end
local all = {}
for host, options in pairs(config.getconfig()) do
	all[host] = {}
	for key, value in pairs(options) do
		if ({ string = 1, number = 1, boolean = 1, table = 1 })[type(value)] then
			all[host][key] = value
		end
	end
end
print(require("util.json").encode(all))
