-- JSON's escapes of characters that the fetch json_query cannot read, written out: \uXXXX beyond ASCII as UTF-8, and \/.
-- The rest stays escaped, so the text is the same JSON.

local function surrogate(text, at)
    local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", at) or "", 16)
    return low
end

core.register_converters("utf8", function(text)
    local out, from, at = {}, 1, text:find("\\", 1, true)
    while at do
        local taken, written = 2, nil
        local code = tonumber(text:match("^u(%x%x%x%x)", at + 1) or "", 16)
        if text:sub(at + 1, at + 1) == "/" then
            written = "/"
        elseif code and code >= 0x80 then
            taken = 6
            if code >= 0xD800 and code <= 0xDBFF then
                local low = surrogate(text, at + 6)
                if low then
                    code, taken = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00), 12
                end
            end
            written = utf8.char(code)
        end
        if written then
            out[#out + 1] = text:sub(from, at - 1)
            out[#out + 1] = written
            from = at + taken
        end
        at = text:find("\\", at + taken, true)
    end
    out[#out + 1] = text:sub(from)
    return table.concat(out)
end)
