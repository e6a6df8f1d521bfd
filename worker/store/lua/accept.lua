-- Accept commands: each opens a cancellation, or joins the open one of its job.
--
-- Includes accepting
--
-- KEYS[1]  the events stream
-- ARGV[1] ARGV[2]  and the commands: see command_arguments.lua
-- ARGV[3…] one command each
-- Returns one "VERDICT ID" per command.
-- Events   accepted, joined, attestation_void

local verdicts = {}
for index = 3, #ARGV do verdicts[#verdicts + 1] = take(cmsgpack.unpack(ARGV[index])) end
return verdicts
