-- Accept a few commands, and claim what is due then, so that work on them begins with this step.
--
-- Includes accepting
-- Calls claim
--
-- KEYS[1]  the events stream
-- ARGV[1] ARGV[2]  and the commands: see command_arguments.lua
-- ARGV[3]  how many arguments claim.lua gets; these follow, and after them the commands, one each
-- Returns  {what accept.lua returns, what claim.lua returns}
-- Events   those of both

local first, verdicts = 4 + tonumber(ARGV[3]), {}
for index = first, #ARGV do verdicts[#verdicts + 1] = take(cmsgpack.unpack(ARGV[index])) end
return {verdicts, claim({unpack(ARGV, 4, first - 1)})}
